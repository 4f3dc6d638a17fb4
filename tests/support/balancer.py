"""A load balancer before several servers: each connection goes to the next one in turn that takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

from .ports import free_port

CHUNK = 64 * 1024  # bytes


class Balancer:
    """Carries bytes and looks at nothing, as a balancer of TCP connections does."""

    def __init__(self, ports: Sequence[int]) -> None:
        """`ports` of 127.0.0.1 are where the servers answer."""
        self.port = free_port()
        self.passed: list[int] = []  # to which server's port each connection went
        self._ports = ports
        self._turn = count()

    @property
    def url(self) -> str:
        """What clients are told instead of any server's address."""
        return f"http://localhost:{self.port}"

    async def carry(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one connection until one side ends it."""
        writers = [to_client]
        try:
            from_server, to_server = await self._next()
            writers.append(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(from_client, to_server))
                both.create_task(_pump(from_server, to_client))
        except* (OSError, _Over):
            pass  # one side has ended it
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server whose turn it is, else to the one after it. Raises ConnectionRefusedError."""
        for _ in self._ports:
            port = self._ports[next(self._turn) % len(self._ports)]
            with suppress(ConnectionRefusedError):
                streams = await asyncio.open_connection("127.0.0.1", port)
                self.passed.append(port)
                return streams
        raise ConnectionRefusedError("no server is there")


class _Over(Exception):
    """One side has said its last word."""


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK):
        target.write(chunk)
        await target.drain()
    raise _Over


@asynccontextmanager
async def balancer(*ports: int) -> AsyncIterator[Balancer]:
    """A balancer before the servers at these ports of 127.0.0.1 for as long as the block lasts."""
    made = Balancer(ports)
    async with asyncio.TaskGroup() as tasks:
        carrying: set[asyncio.Task[None]] = set()
        over = False

        def accept(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
            if over:  # taken in by the kernel before, and nobody would end it
                to_client.transport.abort()
                return
            task = tasks.create_task(made.carry(from_client, to_client))
            carrying.add(task)
            task.add_done_callback(carrying.discard)
            task.add_done_callback(lambda _: to_client.transport.abort())  # if it was cancelled before it began

        listener = await asyncio.start_server(accept, "127.0.0.1", made.port)
        try:
            yield made
        finally:
            over = True
            listener.close()
            for task in carrying:
                task.cancel()
