"""The balancer of the tests ends with its block, whoever comes at the last moment."""

from __future__ import annotations

import asyncio
import socket

import pytest

from .balancer import balancer
from .waiting import eventually, in_time


# asyncio itself drops a socket, with a ResourceWarning, that it accepts in the very turn in which it stops to listen.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("turns", range(8))
async def test_whoever_comes_while_it_ends_does_not_keep_it(turns: int) -> None:
    """However many turns of the loop lie between the connection and the end, none leaves a task that nobody ends."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()

        async def come_and_end() -> None:
            async with balancer(server.getsockname()[1]) as between:
                first.connect(("127.0.0.1", between.port))
                await eventually(lambda: between.passed)  # else nothing is waited for at the end
                client.connect(("127.0.0.1", between.port))
                await turns_of_the_loop(turns)

        await in_time(come_and_end(), 5.0)
        await turns_of_the_loop(10)  # for what the loop had begun to accept


async def turns_of_the_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
