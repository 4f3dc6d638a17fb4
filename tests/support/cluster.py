"""Instances that share their rooms through one Redis, and what can be seen of them from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary

import uvloop

from .people import KEYS
from .redis_server import RedisServer
from .server import RunningServer, running_server
from .waiting import eventually

T = TypeVar("T")

MEET_WITHIN = 15.0  # seconds
STARTS_AT_ONCE = 2
CLUSTERED = 'auralink_mode{mode="clustered"}'
CIRCUIT = 'circuit_breaker_state{{dependency="redis",service="auralink",state="{}"}}'

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def on_a_fast_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the event loop that the server uses, too: what is timed is then not the test."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _gate() -> asyncio.Semaphore:
    """Starting takes a second of CPU time: many at once would all be too late."""
    return _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(STARTS_AT_ONCE))


@asynccontextmanager
async def instance(redis_url: str, name: str = "a", **options: object) -> AsyncIterator[RunningServer]:
    """One instance at this Redis, on an address of this machine."""
    fixed = {"keys": KEYS, "host": "localhost", "media_ip": "127.0.0.1", "redis_url": redis_url, "node": name}
    limits = {"joins_per_second": 1000, "shutdown_grace": 2}
    async with AsyncExitStack() as stack:
        async with _gate():
            server = await stack.enter_async_context(running_server(**(fixed | limits | options)))
        yield server


@asynccontextmanager
async def instances(*redis_urls: str, **options: object) -> AsyncIterator[list[RunningServer]]:
    """One instance for each URL, named a, b, c, ...; they know each other when the block begins."""
    async with AsyncExitStack() as stack:
        blocks = [instance(url, "abcdefgh"[number], **options) for number, url in enumerate(redis_urls)]
        servers = [await stack.enter_async_context(block) for block in blocks]
        await meet(*servers)
        yield servers


async def meet(*servers: RunningServer, within: float = MEET_WITHIN) -> None:
    """Wait until these, and no others, share their rooms."""

    async def all_share() -> bool:
        found = [await server.metrics() for server in servers]
        return all(one[CLUSTERED] == 1 and one["auralink_nodes"] == len(servers) for one in found)

    await eventually(all_share, within, every=0.1)


async def circuit(server: RunningServer) -> str:
    """The state of the circuit to Redis, as a scrape tells it."""
    found = await server.metrics()
    states = ("closed", "open", "half_open")
    return next(state for state in states if found[CIRCUIT.format(state)])


async def room_at(server: RunningServer, room: str) -> dict[str, Any] | None:
    """What the admin API of an instance says about a room; None if it knows none of this name."""
    answer = await server.request(f"/api/rooms/{quote(room, safe='')}", url=server.operators_url)
    return json.loads(answer.body) if answer.status == 200 else None


async def stored_rooms(redis: RedisServer) -> dict[str, dict[str, set[str]]]:
    """What Redis holds: room -> instance -> identities in its slice. Rooms without anybody are left out."""
    keys = await redis.command("KEYS", "auralink:{*}:node:*")
    assert isinstance(keys, list)
    found: dict[str, dict[str, set[str]]] = {}
    for key in map(str, keys):
        fields = await redis.command("HGETALL", key)
        assert isinstance(fields, list)
        people = {
            json.loads(str(value))["identity"]
            for name, value in zip(fields[::2], fields[1::2], strict=True)
            if str(name).startswith("p:")
        }
        if people:
            room, _, node = key.removeprefix("auralink:{").partition("}:node:")
            found.setdefault(room, {})[node.partition("-")[0]] = people
    return found
