"""Waiting for something real to happen, for a bounded time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


async def in_time(work: Awaitable[T], seconds: float) -> T:
    """The result of `work`, or a TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        return await work


@overload
async def eventually(probe: Callable[[], Awaitable[T | None]], within: float = ..., every: float = ...) -> T: ...
@overload
async def eventually(probe: Callable[[], T | None], within: float = ..., every: float = ...) -> T: ...
async def eventually(probe: Callable[[], Any], within: float = 5.0, every: float = 0.05) -> Any:
    """Ask `probe` every `every` seconds until its answer is true, and return that answer.

    Raises AssertionError with the last answer when `within` seconds have passed.
    """
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within} s; the last answer was {answer!r}"
        await asyncio.sleep(every)
