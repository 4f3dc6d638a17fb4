"""A TCP connection that can be cut, slow, silent or reset: a small proxy before a server, as a failing network is."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .ports import free_port

CHUNK = 64 * 1024  # bytes
IN_FLIGHT = 64  # chunks that may be under way in one direction; who sends more has to wait
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing is a reset
ATTEMPTS = 5  # at finding a port that nobody takes in between


@dataclass(frozen=True)
class Faults:
    """What is wrong with the way to the server."""

    latency: float = 0.0  # seconds, each way
    jitter: float = 0.0  # up to so many seconds more, each time; nothing overtakes
    black_hole: bool = False  # connections are accepted and stay, and nothing passes until this ends
    reset_share: float = 0.0  # of connections, 0..1; a new one is reset when the server has begun to answer
    refuse: bool = False  # nobody listens: a new connection is refused; those that exist go on


NORMAL = Faults()


class TcpProxy:
    """Carries bytes both ways between its own `url` and the server behind it, as well as `faults` allow."""

    def __init__(self, server: str, faults: Faults = NORMAL, seed: int = 1) -> None:
        """`server` is a URL of any scheme, with a port. The same `seed` resets the same connections."""
        self._server = urlsplit(server)
        self._random = random.Random(seed)
        self._connections: set[_Connection] = set()
        self._tasks = asyncio.TaskGroup()
        self._cut = False
        self._listener: asyncio.Server | None = None
        self._passable = asyncio.Event()
        self.faults = faults
        self.port = 0
        self.accepted = 0  # connections carried so far
        self.resets = 0  # of these, how many `reset_share` has ended

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for attempt in range(ATTEMPTS):
            self.port = free_port()
            try:
                await self._listen()
                break
            except OSError:
                if attempt == ATTEMPTS - 1:
                    raise
        await self.becomes(self.faults)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close_listener()
        self.cut()
        await self._tasks.__aexit__(None, None, None)

    @property
    def url(self) -> str:
        """What a client is told instead of the server's address."""
        user, at, _ = self._server.netloc.rpartition("@")
        host = "localhost" if self._server.scheme in {"http", "https"} else "127.0.0.1"  # pages need `localhost`
        return self._server._replace(netloc=f"{user}{at}{host}:{self.port}").geturl()

    async def becomes(self, faults: Faults) -> None:
        """Have these faults from now on, and no others; `NORMAL` has none. Connections that exist have them too."""
        self.faults = faults
        if faults.black_hole:
            self._passable.clear()
        else:
            self._passable.set()
        for connection in [*self._connections]:
            if self._random.random() < faults.reset_share:
                self.resets += 1
                connection.reset()
        if faults.refuse:
            self._close_listener()
        elif self._listener is None:
            await self._listen()

    def cut(self) -> None:
        """Reset every connection, with no word to either side, and let nobody through until `mend`."""
        self._cut = True
        for connection in [*self._connections]:
            connection.reset()

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    def delay(self) -> float:
        """How long the next bytes are under way, in seconds."""
        return self.faults.latency + self._random.uniform(0, self.faults.jitter)

    async def passable(self) -> None:
        """Return when there is no black hole."""
        await self._passable.wait()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def _close_listener(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._tasks.create_task(self._carry(from_client, to_client))

    async def _carry(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        connection = _Connection(self, to_client)
        if self._cut:
            connection.reset()
            return
        self.accepted += 1
        self._connections.add(connection)
        doomed = self._random.random() < self.faults.reset_share
        try:
            await self.passable()
            from_server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
            connection.writers.append(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(connection.carry(from_client, to_server))
                both.create_task(connection.carry(from_server, to_client, doomed))
        except* OSError:  # nobody is behind this proxy, or one side has reset it: so the other one is told
            connection.reset()
        else:
            connection.close()
        finally:
            self._connections.discard(connection)


class _Connection:
    """One connection of a client, with the one to the server that belongs to it once there is one."""

    def __init__(self, proxy: TcpProxy, to_client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self.writers = [to_client]
        task = asyncio.current_task()
        assert task
        self.task = task

    def reset(self) -> None:
        """End it both ways by RST, whatever is still under way."""
        for writer in self.writers:
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()
        self.task.cancel()

    def close(self) -> None:
        """End it in order."""
        for writer in self.writers:
            writer.close()

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, doomed: bool = False) -> None:
        """Carry bytes one way until `source` has no more; if it is `doomed`, the first ones reset the connection."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._departures(source, under_way))
            tasks.create_task(self._arrivals(under_way, target, doomed))

    async def _departures(self, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        due, chunk = 0.0, b"-"
        while chunk:
            await self._proxy.passable()
            chunk = await source.read(CHUNK)
            due = max(due, loop.time() + self._proxy.delay())
            await under_way.put((due, chunk))

    async def _arrivals(
        self, under_way: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter, doomed: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await under_way.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self._proxy.passable()
            if target.transport.is_closing():  # cut meanwhile; uvloop raises where asyncio would only warn
                return
            if not chunk:
                target.write_eof()
                return
            if doomed:
                self._proxy.resets += 1
                self.reset()
                return
            target.write(chunk)
            await target.drain()


@asynccontextmanager
async def tcp_proxy(server: str, faults: Faults = NORMAL, *, seed: int = 1) -> AsyncIterator[TcpProxy]:
    """A proxy in front of the server at the URL `server` for as long as the block lasts."""
    async with TcpProxy(server, faults, seed) as proxy:
        yield proxy
