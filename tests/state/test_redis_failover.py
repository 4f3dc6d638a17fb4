"""When sentinels make another server the master, or a cluster moves what it has, the store follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio

from state.model import NodeId
from state.redis_store import RedisStore
from state.store import StoreError
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_sentinel import RedisSentinel
from tests.support.redis_server import RedisServer
from tests.support.stores import announce, fetch, post, redis_store, write
from tests.support.waiting import eventually

SHORT = {"timeout": 1.0, "prober_timeout": 0.6, "connect_timeout": 0.5}  # seconds
LATE = 0.2
TICK = 0.05
STOOD_STILL = "stood still"  # our own process did, as we saw ourselves: it says nothing of the store
ROOMS = [str(room) for room in range(30)]  # of these, each of three nodes holds some


@pytest_asyncio.fixture
async def sentinel() -> AsyncIterator[RedisSentinel]:
    """A master, a replica, and sentinels of this test alone."""
    async with RedisSentinel() as running:
        yield running


@pytest_asyncio.fixture
async def behind_sentinels(sentinel: RedisSentinel) -> AsyncIterator[RedisStore]:
    """A store on the master that the sentinels name."""
    hosts = ",".join(f"{host}:{port}" for host, port in sentinel.addresses)
    async with redis_store(f"redis+sentinel://{hosts}/{sentinel.name}", **SHORT) as store:
        yield store


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[RedisCluster]:
    """Three nodes of this test alone."""
    async with RedisCluster() as running:
        yield running


@pytest_asyncio.fixture
async def on_cluster(cluster: RedisCluster) -> AsyncIterator[RedisStore]:
    """A store on that cluster, which knows of one node to begin with."""
    async with redis_store(cluster.url.replace("redis://", "redis+cluster://"), **SHORT) as store:
        yield store


async def outcome(asking: Awaitable[object]) -> str:
    """Why asking failed, or nothing if it did not; in time in any case, by a clock that stands still when we do."""

    async def reason() -> str:
        try:
            await asking
        except StoreError as error:
            return error.reason
        return ""

    longest = 0.0
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reason())
        for _ in range(round((SHORT["timeout"] + LATE) / TICK)):
            began = time.monotonic()
            await asyncio.wait([task], timeout=TICK)
            longest = max(longest, time.monotonic() - began)
            if task.done():
                return STOOD_STILL if task.result() == "stalled" and longest > 4 * TICK else task.result()
        task.cancel()
    raise TimeoutError("it took too long to fail")


async def succeeds(store: RedisStore, number: int, within: float = 10.0) -> set[str]:
    """Write number `number` into all rooms, announce and post, until all of it works. Return why it did not before."""
    reasons: set[str] = set()

    async def tries() -> bool:
        # First alone, as after a failure: the connection that many wait for would be made late.
        if reason := await outcome(write(store, (1, number), {"x": str(number)}, room="first")):
            reasons.add(reason)
            await store.reset()  # as who guards the store does
            return False
        asked = [write(store, (1, number), {"x": str(number)}, room=room) for room in ROOMS]
        now = set(await asyncio.gather(*map(outcome, [*asked, announce(store, "a"), post(store, ("a", str(number)))])))
        reasons.update(now)
        return now == {""}

    try:
        await eventually(tries, within)
    except AssertionError:
        raise AssertionError(f"still failing after {within} s: {reasons}") from None
    return reasons - {"", STOOD_STILL}


async def test_a_planned_failover_is_followed_by_writers_and_readers(
    sentinel: RedisSentinel, behind_sentinels: RedisStore
) -> None:
    store = behind_sentinels
    assert await succeeds(store, 1) == set()
    assert await store.receive(NodeId("a"), 0) == ["1"]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome_of_reading(store))
        await sentinel.failover(planned=True)
        assert await succeeds(store, 2) <= {"read_only", "reset", "refused", "timeout", "master_down", "pool_exhausted"}
    # Read at once, or told that the connection is gone and read then.
    assert waiting.result()[-1] == "2"
    role = (await sentinel.master.info("replication"))["role"]
    assert role == "master"
    assert await sentinel.master.command("EXISTS", "auralink:{0}:node:a") == 1
    assert await fetch(store, "a", room="0") == {"a": ((1, 2), {"x": "2"})}


async def outcome_of_reading(store: RedisStore) -> list[str]:
    """The notes of `a`, read until there are some, whatever happens meanwhile."""
    while True:
        try:
            notes = await store.receive(NodeId("a"), 0.5)
            if notes and notes[-1] == "2":
                return notes
        except StoreError:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hanging"])
async def test_a_master_that_is_lost_is_replaced(
    sentinel: RedisSentinel, behind_sentinels: RedisStore, hangs: bool
) -> None:
    store = behind_sentinels
    assert await succeeds(store, 1) == set()
    if hangs:
        sentinel.master.stop()
    else:
        await sentinel.master.kill()
    reasons = await succeeds(store, 2, within=20.0)  # the sentinels take a while
    assert reasons
    assert reasons <= {"read_only", "reset", "refused", "timeout", "master_down", "pool_exhausted"}
    await sentinel.elects()
    assert await sentinel.master.command("EXISTS", "auralink:{0}:node:a") == 1
    assert await store.receive(NodeId("a"), 0.5)


async def test_sentinels_that_hang_or_are_gone_keep_nobody_from_the_master(
    sentinel: RedisSentinel, behind_sentinels: RedisStore
) -> None:
    sentinel.sentinels[0].stop()
    await sentinel.sentinels[1].kill()
    assert await outcome(announce(behind_sentinels, "a")) == ""
    assert await outcome(write(behind_sentinels, (1, 1), {})) == ""
    await sentinel.sentinels[2].kill()
    assert await outcome(announce(behind_sentinels, "a")) == ""  # where the master is, is known
    await behind_sentinels.reset()
    assert await outcome(announce(behind_sentinels, "a")) in {"master_down", "timeout"}


async def test_no_sentinel_is_forgotten_when_many_ask_at_once(
    sentinel: RedisSentinel, behind_sentinels: RedisStore
) -> None:
    store, (first, *others) = behind_sentinels, sentinel.sentinels
    first.stop()
    asked = await asyncio.gather(*(outcome(write(store, (1, 1), {}, room=room)) for room in ROOMS))
    assert "" in asked
    first.cont()
    for other in others:
        await other.kill()
    await store.reset()
    assert await outcome(announce(store, "a")) == ""


async def test_a_service_that_the_sentinels_do_not_know_is_down(sentinel: RedisSentinel) -> None:
    hosts = ",".join(f"{host}:{port}" for host, port in sentinel.addresses)
    async with redis_store(f"redis+sentinel://{hosts}/unknown", **SHORT) as store:
        assert await outcome(announce(store, "a")) == "master_down"


async def test_rooms_and_inboxes_are_spread_over_the_nodes_of_a_cluster(
    cluster: RedisCluster, on_cluster: RedisStore
) -> None:
    assert await succeeds(on_cluster, 1) == set()
    held = [await node.command("DBSIZE") for node in cluster.nodes]
    assert all(isinstance(number, int) and number > 2 for number in held)
    await post(on_cluster, *((f"n{number}", str(number)) for number in range(64)))
    for number in range(64):
        assert await on_cluster.receive(NodeId(f"n{number}"), 0) == [str(number)]


async def test_rooms_that_move_to_another_node_of_the_cluster_are_found(
    cluster: RedisCluster, on_cluster: RedisStore
) -> None:
    assert await succeeds(on_cluster, 1) == set()
    for node in cluster.nodes:
        await node.flushall()
    keys = [f"auralink:{{{room}}}:nodes" for room in ROOMS] + ["auralink:inbox:{a}", "auralink:nodes"]
    to, *others = cluster.nodes
    moved = [key for key in keys if await cluster.holder(key) in others]
    assert len(moved) > 5  # more often than redis-py by default puts up with
    for key in moved:
        await _moves(cluster, key, to)
    assert await succeeds(on_cluster, 2) == set()
    for room in ROOMS:
        assert await fetch(on_cluster, "a", room=room) == {"a": ((1, 2), {"x": "2"})}
    assert await on_cluster.receive(NodeId("a"), 0) == ["2"]


async def _moves(cluster: RedisCluster, key: str, to: RedisServer) -> None:
    """Give the empty slot of `key` to a node. All that move go to the same one: of two, each could undo the other's."""
    holder = await cluster.holder(key)
    slot = await to.command("CLUSTER", "KEYSLOT", key)
    name, before = await to.command("CLUSTER", "MYID"), await holder.command("CLUSTER", "MYID")
    assert isinstance(slot, int)
    assert isinstance(name, str)
    assert isinstance(before, str)
    await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", before)  # who imported a slot has the last word on it
    for node in [to, *(node for node in cluster.nodes if node is not to)]:
        await node.command("CLUSTER", "SETSLOT", slot, "NODE", name)


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hanging"])
async def test_a_cluster_that_lost_a_node_says_so_and_works_when_it_is_back(
    cluster: RedisCluster, on_cluster: RedisStore, hangs: bool
) -> None:
    store = on_cluster
    assert await succeeds(store, 1) == set()
    lost = cluster.nodes[1]
    if hangs:
        lost.stop()
    else:
        await lost.kill()
    reasons = {await outcome(write(store, (1, 2), {"x": "2"}, room=room)) for room in ROOMS[:6]}
    assert reasons - {"", STOOD_STILL}
    assert reasons - {STOOD_STILL} <= {"", "timeout", "refused", "reset", "cluster_down"}
    if hangs:
        lost.cont()
    else:
        await lost.restart()
    await cluster.settles()
    await store.reset()
    await succeeds(store, 3)
    assert await fetch(store, "a", room="0") == {"a": ((1, 3), {"x": "3"})}


async def test_a_server_that_is_no_cluster_is_misconfigured() -> None:
    async with RedisServer() as server, redis_store(server.url.replace("redis:", "redis+cluster:"), **SHORT) as store:
        assert await outcome(announce(store, "a")) == "misconfigured"
