"""A TCP connection that can be cut: a small proxy between a page and a server, as a network that fails would be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

CHUNK = 64 * 1024  # bytes


class TcpProxy:
    """Carries bytes both ways between its own `url` and the server behind it, until it is cut."""

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self._clients: set[asyncio.StreamWriter] = set()
        self._cut = False
        self.accepted = 0  # connections carried so far

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """What a client is told instead of the server's address."""
        return f"http://localhost:{self._listener.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Reset every connection, with no word to either side, and let nobody through until `mend`."""
        self._cut = True
        for client in self._clients:
            client.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    async def _carry(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self._cut:
            to_client.transport.abort()
            return
        self.accepted += 1
        self._clients.add(to_client)
        from_server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(from_client, to_server))
                both.create_task(_pump(from_server, to_client))
        finally:
            self._clients.discard(to_client)
            to_client.transport.abort()
            to_server.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry bytes one way; when one way ends, both do."""
    try:
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.transport.abort()


@asynccontextmanager
async def tcp_proxy(server: str) -> AsyncIterator[TcpProxy]:
    """A proxy in front of the server at the URL `server` for as long as the block lasts."""
    async with TcpProxy(server) as proxy:
        yield proxy
