"""A Redis that was away is used again when it is back, whatever it remembers and whoever it is by then.

The room is shared anew; its people are told of that once, by one snapshot, and nobody is said to have come or left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.cluster import instances
from tests.support.people import people
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_faults import failing_redis
from tests.support.redis_sentinel import RedisSentinel
from tests.support.redis_server import redis_server

AWAY = 6.0  # seconds
SHARED_WITHIN = 10.0

Outage = Callable[[], Awaitable[None]]  # begins and ends


@asynccontextmanager
async def the_same_with_what_it_held() -> AsyncIterator[tuple[str, Outage]]:
    async with failing_redis() as redis:

        async def outage() -> None:
            redis.way.cut()
            await asyncio.sleep(AWAY)
            await redis.server.restart(empty=False)
            redis.way.mend()

        yield redis.url, outage


@asynccontextmanager
async def the_same_but_empty() -> AsyncIterator[tuple[str, Outage]]:
    async with redis_server() as redis:

        async def outage() -> None:
            await redis.kill()
            await asyncio.sleep(AWAY)
            await redis.restart(empty=True)

        yield redis.url, outage


@asynccontextmanager
async def a_replica_that_sentinels_promoted() -> AsyncIterator[tuple[str, Outage]]:
    async with RedisSentinel() as redis:

        async def outage() -> None:
            await redis.failover()

        hosts = ",".join(f"{host}:{port}" for host, port in redis.addresses)
        yield f"redis+sentinel://{hosts}/{redis.name}", outage


@asynccontextmanager
async def a_cluster_that_lost_a_node() -> AsyncIterator[tuple[str, Outage]]:
    async with RedisCluster() as redis:

        async def outage() -> None:
            node = await redis.holder("auralink:{lab}:nodes")
            await node.kill()
            await asyncio.sleep(AWAY)
            await node.restart(empty=True)
            await redis.settles()

        yield f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in redis.nodes)}", outage


RETURNS = (
    the_same_with_what_it_held,
    the_same_but_empty,
    a_replica_that_sentinels_promoted,
    a_cluster_that_lost_a_node,
)


async def returns(which: Callable[[], object]) -> str:
    """Two at each of two instances, an outage, and what they were told of it."""
    async with which() as (url, outage), instances(url, url) as (a, b), people() as crowd:  # type: ignore[attr-defined]
        for server, name in ((a, "ada"), (a, "abe"), (b, "bea"), (b, "bob")):
            await crowd.come(server.websocket_url, name, follows=False)
        for one in crowd.all:
            await one.sees("ada", "abe", "bea", "bob")
        began = time.monotonic()
        await outage()
        back = time.monotonic()
        for one in crowd.all:
            await one.until(lambda one=one: not one.stay.degraded, SHARED_WITHIN, "the end of the outage")
        shared = time.monotonic() - back
        # Shared again: what happens at one side is heard at the other.
        old = list(crowd.all)
        await crowd.come(a.websocket_url, "art", follows=False)
        await crowd.come(b.websocket_url, "ben", follows=False)
        for one in crowd.all:
            await one.sees("ada", "abe", "bea", "bob", "art", "ben", within=SHARED_WITHIN)
            assert {who["presence"] for who in one.stay.roster.values()} == {"here", "elsewhere"}
        for one in old:
            told = one.stay.counts(since=began)
            assert told["participant_left"] == 0, (one, told)
            assert told["degraded"] == told["recovered"] == told["room"] <= 1, (one, told)
            assert told["participant_joined"] <= 4, (one, told)  # two who came, and at most one word on each other
        noticed = any(one.stay.counts(since=began)["degraded"] for one in old)
        return f"{'noticed, and' if noticed else 'not noticed;'} shared {shared:.1f} s after its return"
