"""One real server for all promises that browsers hold us to; each test has a room of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio

from tests.support.server import RunningServer, running_server


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def server_process() -> AsyncIterator[RunningServer]:
    """A server in dev mode, as `make run` starts it."""
    async with running_server(shutdown_grace=1) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def server(server_process: RunningServer) -> AsyncIterator[RunningServer]:
    """The shared server, which must come out of each test without having failed inside."""
    yield server_process
    assert "Traceback" not in server_process.log, server_process.log
    assert " ERROR " not in server_process.log, server_process.log


@pytest_asyncio.fixture(loop_scope="session")
async def other_server() -> AsyncIterator[Callable[..., Awaitable[RunningServer]]]:
    """Starts a server with options of its own, for this test alone."""
    async with AsyncExitStack() as stack:
        yield lambda **options: stack.enter_async_context(running_server(shutdown_grace=1, **options))
