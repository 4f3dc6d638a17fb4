"""An owner of background tasks: what it started ends with its block, and a failure of one ends the block."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Self


class Owner:
    """A TaskGroup whose tasks are cancelled, not awaited, when the block ends.

    An error of the block comes out as it is; if a task fails, an ExceptionGroup does.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` until the block ends."""
        self._tasks.append(self._group.create_task(work))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if group.exceptions != (error,):
                raise
            # Only the block failed: its error goes on as it is, so that callers can catch it by its type.
