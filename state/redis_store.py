"""The store in Redis: carries requests there within deadlines of its own, and says in one word why one failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from . import redis_commands as commands
from . import redis_scripts as scripts
from .model import NodeId
from .redis_clients import Client, Clients, is_of_another_kind
from .redis_errors import store_error
from .redis_scripts import Script
from .redis_url import parse
from .store import Announce, Fetched, FetchSlices, Post, Posted, Reply, Request, StoreError, WriteSlice

T = TypeVar("T")

READERS = 64  # inboxes that are waited for at once
READ_GRACE = 1.0  # seconds that an inbox which was waited for may answer late
STOOD_STILL = 1.5  # times the deadline: later than that, it was our own process that did not look


class RedisStore:
    """Redis as the place where instances meet.

    Announcing, everything else, and waiting for notes have connections of their own: neither many requests at once nor
    a slow reader make us think that Redis is away. Connections are made when they are needed.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 1.0,
        prober_timeout: float = 0.6,
        connect_timeout: float = 0.5,
        connections: int = 16,
    ) -> None:
        """`url`: see redis_url.py. Times in seconds: for a request, an announcement, and a connection of either.

        Raises ValueError with a sentence if the URL is none.
        """
        address = parse(url)
        # All sentinels may be asked within one announcement, and time is left for it.
        self._clients = Clients(address, connect_timeout, prober_timeout / (len(address.hosts) + 1))
        self._requests = _Lane(self._clients, connections, timeout)
        self._prober = _Lane(self._clients, 1, prober_timeout)
        self._readers = _Lane(self._clients, READERS, timeout)
        self._read: dict[NodeId, list[str]] = {}

    async def execute(self, request: Request) -> Reply:
        """Carry out one request. Raises StoreError."""
        match request:
            case Announce():
                return await self._prober.run(
                    lambda client: _call(client, scripts.ANNOUNCE, *commands.announce(request)), commands.announced
                )
            case WriteSlice():
                return await self._requests.run(
                    lambda client: _call(client, scripts.WRITE_SLICE, *commands.write_slice(request)), commands.written
                )
            case FetchSlices():
                if not request.nodes:
                    return Fetched({})
                return await self._requests.run(
                    lambda client: client.pipeline(commands.fetch_slices(request)),
                    lambda answers: commands.fetched(request, answers),
                )
            case Post():
                if request.notes:
                    await self._requests.run(lambda client: client.pipeline(commands.post(request)), lambda _: None)
                return Posted()

    async def receive(self, node: NodeId, block: float) -> list[str]:
        """The notes in an inbox, oldest first; waits for one at most `block` seconds. Raises StoreError.

        They leave the inbox when it is read again; if we cannot know whether they did, they are returned anew. They are
        named one by one then, not up to a position: after Redis lost its last second, new entries may have smaller
        ids than those that were read.
        """

        async def read(client: Client) -> Any:
            try:
                if ids := self._read.get(node):
                    await client.command(commands.drop_notes(node, ids))
                    del self._read[node]
                return await client.command(commands.read_inbox(node, block))
            except ResponseError as error:
                if not is_of_another_kind(error):
                    raise
                await client.command(commands.drop_inbox(node))
                return None

        ids, notes = await self._readers.run(read, commands.notes, block + READ_GRACE)
        if ids:
            self._read[node] = ids
        return notes

    async def reset(self) -> None:
        """Use none of the connections of before: those that are idle close now, the others when they are."""
        for lane in (self._requests, self._prober, self._readers):
            await lane.reset()

    async def close(self) -> None:
        """Close all connections. Requests raise StoreError from now on."""
        for lane in (self._requests, self._prober, self._readers):
            await lane.close()
        await self._clients.close()


async def _call(client: Client, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
    try:
        return await client.command(script.by_hash(keys, arguments))
    except NoScriptError:
        pass  # a server that is new or was restarted
    return await client.command(script.by_text(keys, arguments))


class _Lane:
    """Connections for one purpose. Who finds all of them in use waits for half its deadline at most."""

    def __init__(self, clients: Clients, connections: int, deadline: float) -> None:
        self._clients = clients
        self._connections = connections
        self._deadline = deadline
        self._free = asyncio.Semaphore(connections)
        self._client = clients.make(connections)
        self._closed = False

    async def run(
        self, ask: Callable[[Client], Awaitable[Any]], parse: Callable[[Any], T], deadline: float | None = None
    ) -> T:
        """Ask, and read the answer, in `deadline` seconds. Raises StoreError."""
        if self._closed:
            raise StoreError("closed", ours=True)
        deadline = self._deadline if deadline is None else deadline
        clock = asyncio.get_running_loop().time
        started = clock()
        await self._acquire(deadline / 2)
        client = self._client
        client.users += 1
        try:
            async with asyncio.timeout_at(started + deadline):
                answer = await ask(client)
            return parse(answer)
        except Exception as error:
            failure = store_error(error)
            if failure.reason == "timeout":
                client.was_silent()
                if clock() - started > STOOD_STILL * deadline:
                    failure = StoreError("stalled", "this process stood still and could not see the answer", ours=True)
            cause = error
        finally:
            self._free.release()
            client.users -= 1
            if client is not self._client:
                await self._retire(client)
        if failure.reason == "read_only" and client is self._client:
            await self.reset()  # the master is another one now
        raise failure from cause

    async def reset(self) -> None:
        """Begin anew, without the connections of before; the last one who uses them closes them."""
        before, self._client = self._client, self._clients.make(self._connections)
        await self._retire(before)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await _close(self._client)

    async def _retire(self, client: Client) -> None:
        if not client.users:
            await _close(client)

    async def _acquire(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError:
            raise StoreError("pool_exhausted", f"all {self._connections} connections are in use", ours=True) from None


async def _close(client: Client) -> None:
    # That the other side does not say goodbye in time is nobody's trouble.
    with suppress(Exception):
        await client.close()
