"""Stores as tests use them: the one in memory with a clock that tests move, and the one in Redis with the world's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from state.model import NodeId, RoomName
from state.redis_store import RedisStore
from state.slices import Changes, Fields, Version
from state.store import (
    Announce,
    Announced,
    Fetched,
    FetchSlices,
    Post,
    Reply,
    Request,
    StoreError,
    WriteSlice,
    Written,
)
from state.wire import NodeRecord

from .memory_store import MemoryStore
from .waiting import eventually

LIFE = 60.0  # seconds: longer than any test
ROOM = RoomName("room")


class Store(Protocol):
    """A place where instances meet."""

    async def execute(self, request: Request) -> Reply:
        """Carry out one request."""

    async def take(self, node: str) -> list[str]:
        """The notes that are in an inbox now."""

    async def passes(self, seconds: float) -> None:
        """Let time pass."""


class InMemory:
    """The store in memory, where time passes only when a test says so."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._now = 1000.0

    async def execute(self, request: Request) -> Reply:
        """Carry out one request."""
        return self._store.execute(request, self._now)

    async def take(self, node: str) -> list[str]:
        """The notes that are in an inbox now."""
        return self._store.take(NodeId(node))

    async def passes(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class InRedis:
    """The store in Redis, where the server's clock counts."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def execute(self, request: Request) -> Reply:
        """Carry out one request."""
        return await self._store.execute(request)

    async def take(self, node: str) -> list[str]:
        """The notes that are in an inbox now."""
        taken: list[str] = []
        while notes := await self._store.receive(NodeId(node), 0):
            taken += notes
        return taken

    async def passes(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


@asynccontextmanager
async def redis_store(url: str, **options: Any) -> AsyncIterator[RedisStore]:
    """A store in Redis for as long as the block lasts."""
    store = RedisStore(url, **options)
    try:
        yield store
    finally:
        await store.close()


def record(node: str, nonce: str = "nonce", **more: Any) -> NodeRecord:
    """What an instance says of itself."""
    return NodeRecord(NodeId(node), nonce, **more)


async def announce(
    store: Store | RedisStore, node: str, nonce: str = "nonce", lease: float = LIFE, leaving: bool = False
) -> Announced:
    """Renew or end a lease."""
    reply = await store.execute(Announce(record(node, nonce), lease, leaving))
    assert isinstance(reply, Announced)
    return reply


async def write(
    store: Store | RedisStore,
    version: tuple[int, int],
    changes: Changes,
    base: tuple[int, int] | None = None,
    *,
    node: str = "a",
    room: str = ROOM,
    life: float = LIFE,
) -> Written:
    """Write a slice."""
    since = None if base is None else Version(*base)
    request = WriteSlice(RoomName(room), NodeId(node), Version(*version), since, changes, life)
    reply = await store.execute(request)
    assert isinstance(reply, Written)
    return reply


async def fetch(store: Store | RedisStore, *nodes: str, room: str = ROOM) -> Mapping[NodeId, tuple[Version, Fields]]:
    """Read slices."""
    reply = await store.execute(FetchSlices(RoomName(room), tuple(map(NodeId, nodes))))
    assert isinstance(reply, Fetched)
    return reply.slices


async def post(store: Store | RedisStore, *notes: tuple[str, str], most: int = 1000, life: float = LIFE) -> None:
    """Put notes into inboxes."""
    await store.execute(Post(tuple((NodeId(node), text) for node, text in notes), most, life))


# ------------------------------------------------------------------------------------------------------- in trouble


async def failure(asking: Awaitable[object]) -> StoreError:
    """The error that asking ends in."""
    with pytest.raises(StoreError) as raised:
        await asking
    return raised.value


async def reason(asking: Awaitable[object]) -> str:
    """Why asking failed."""
    error = await failure(asking)
    assert not error.ours
    return error.reason


async def each_reason(store: RedisStore) -> set[str]:
    """Why a write, an announcement and a note failed."""
    return {
        await reason(write(store, (1, 1), {"x": "1"}, room="another")),
        await reason(announce(store, "a")),
        await reason(post(store, ("a", "1"))),
    }


async def works(store: RedisStore) -> None:
    """Check that each way to Redis is open."""
    await announce(store, "a")
    await write(store, (9, int(time.monotonic() * 1000)), {"x": "1"}, node="works", room="works")
    await post(store, ("works", "1"))
    assert await store.receive(NodeId("works"), 0)


async def soon_works(store: RedisStore, within: float = 10.0) -> None:
    """Check that each way to Redis is open after a while."""

    async def does() -> bool:
        try:
            await works(store)
        except StoreError:
            await store.reset()
            return False
        return True

    await eventually(does, within)
