"""What a store promises, wherever it is: in memory, in one Redis, behind sentinels, or in a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from state.slices import Version
from state.store import Announce, Announced
from state.wire import NodeRecord
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_sentinel import RedisSentinel
from tests.support.redis_server import RedisServer
from tests.support.stores import InMemory, InRedis, Store, announce, fetch, post, record, redis_store, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = 0.4  # seconds of life, where a test waits for the end of it
LONGER = 0.5
NAMES = [
    "plain",
    "",
    "{",
    "}",
    "a{b}c",
    "{}",
    "%",
    "%7B",
    "a b",
    "a:node:b",
    "é",
    "\U0001f600",
    "\n",
    "\x00",
    "x" * 1000,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "redis", "sentinel", "cluster"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, list[RedisServer]]]:
    """Where the store is, as an address, and the servers that hold something; in memory there are none."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "memory":
                yield "", []
            case "redis":
                server = await stack.enter_async_context(RedisServer())
                yield server.url, [server]
            case "sentinel":
                sentinel = await stack.enter_async_context(RedisSentinel())
                hosts = ",".join(f"{host}:{port}" for host, port in sentinel.addresses)
                yield f"redis+sentinel://{hosts}/{sentinel.name}", [sentinel.master]
            case "cluster":
                cluster = await stack.enter_async_context(RedisCluster())
                yield cluster.url.replace("redis://", "redis+cluster://"), cluster.nodes


@pytest_asyncio.fixture(loop_scope="module")
async def store(place: tuple[str, list[RedisServer]]) -> AsyncIterator[Store]:
    """An empty store."""
    url, servers = place
    if not url:
        yield InMemory()
        return
    for server in servers:
        await server.flushall()
    # Deadlines that a busy machine keeps: here is asked what is answered, not when.
    async with redis_store(url, timeout=10.0, prober_timeout=10.0, connect_timeout=5.0) as redis:
        yield InRedis(redis)


# ----------------------------------------------------------------------------------------------------------- leases


async def test_an_instance_is_known_from_its_second_announcement_on(store: Store) -> None:
    assert not (await announce(store, "a")).known
    assert (await announce(store, "a")).known


async def test_who_announces_itself_hears_of_all_with_a_lease_itself_included(store: Store) -> None:
    await announce(store, "a")
    await announce(store, "b")
    told = await announce(store, "c")
    assert {one.node for one in told.nodes} == {"a", "b", "c"}


@pytest.mark.parametrize("name", NAMES)
async def test_an_instance_may_have_any_name(store: Store, name: str) -> None:
    await announce(store, name, nonce=name)
    told = await announce(store, name, nonce=name)
    assert told.known
    assert told.nodes == (record(name, name),)


async def test_what_an_instance_says_of_itself_is_told_as_it_said_it_last(store: Store) -> None:
    said = NodeRecord(record("a").node, "nonce", "wss://a/ws?x=1", "östlich", False, 1_700_000_000.25, 3, 200)
    await announce(store, "a")
    told = await store.execute(Announce(said, 60.0))
    assert isinstance(told, Announced)
    assert told.nodes == (said,)


async def test_a_lease_runs_out(store: Store) -> None:
    await announce(store, "a", lease=SHORT)
    await announce(store, "b")
    await store.passes(LONGER)
    assert {one.node for one in (await announce(store, "b")).nodes} == {"b"}
    assert not (await announce(store, "a")).known


async def test_a_lease_that_is_renewed_lasts(store: Store) -> None:
    await announce(store, "a", lease=SHORT)
    await store.passes(SHORT / 2)
    assert (await announce(store, "a")).known
    await store.passes(LONGER)
    assert (await announce(store, "a")).known


async def test_who_leaves_is_gone_at_once(store: Store) -> None:
    await announce(store, "a")
    await announce(store, "b")
    left = await announce(store, "a", leaving=True)
    assert left.known
    assert {one.node for one in left.nodes} == {"b"}
    assert not (await announce(store, "a", leaving=True)).known
    assert {one.node for one in (await announce(store, "b")).nodes} == {"b"}


async def test_a_second_process_under_one_id_is_fenced_and_changes_nothing(store: Store) -> None:
    await announce(store, "a", "first")
    for leaving in (False, True):
        told = await announce(store, "a", "second", leaving=leaving)
        assert told.fenced
        assert told.nodes == (record("a", "first"),)
    again = await announce(store, "a", "first")
    assert again.known
    assert not again.fenced


async def test_an_id_is_free_again_when_its_lease_ran_out_or_was_ended(store: Store) -> None:
    await announce(store, "a", "first", lease=SHORT)
    await store.passes(LONGER)
    assert not (await announce(store, "a", "second")).fenced
    await announce(store, "a", "second", leaving=True)
    told = await announce(store, "a", "third")
    assert not told.fenced
    assert told.nodes == (record("a", "third"),)


# ----------------------------------------------------------------------------------------------------------- slices


async def test_a_slice_is_read_as_it_was_written(store: Store) -> None:
    fields = {"p:1": '{"id":"1"}', "settings": "ünïcode \U0001f600", "empty": "", "zero": "\x00\r\n"}
    written = await write(store, (1, 1), fields)
    assert written.status == "applied"
    assert {node: one.version for node, one in written.listed.items()} == {"a": (1, 1)}
    assert await fetch(store, "a", "nobody") == {"a": (Version(1, 1), fields)}


async def test_a_change_keeps_the_other_fields(store: Store) -> None:
    await write(store, (1, 1), {"x": "1", "y": "1", "z": "1"})
    assert (await write(store, (1, 2), {"x": "2", "y": None, "unknown": None, "new": "2"}, (1, 1))).status == "applied"
    assert await fetch(store, "a") == {"a": ((1, 2), {"x": "2", "z": "1", "new": "2"})}


async def test_a_whole_slice_replaces_what_was_there(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"})
    await write(store, (1, 5), {"y": "5"})
    assert await fetch(store, "a") == {"a": ((1, 5), {"y": "5"})}
    await write(store, (2, 1), {"z": "1"})
    assert await fetch(store, "a") == {"a": ((2, 1), {"z": "1"})}


async def test_a_large_slice_is_written_whole(store: Store) -> None:
    fields = {f"p:{number}": str(number) for number in range(5000)}
    await write(store, (1, 1), fields)
    assert await fetch(store, "a") == {"a": ((1, 1), fields)}


async def test_a_write_that_comes_twice_is_stale_the_second_time(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"})
    await write(store, (1, 2), {"x": "2"}, (1, 1))
    for base in (None, (1, 1)):
        again = await write(store, (1, 2), {"x": "other"}, base)
        assert again.status == "stale"
        assert again.listed["a"].version == (1, 2)
    assert await fetch(store, "a") == {"a": ((1, 2), {"x": "2"})}


@pytest.mark.parametrize("base", [None, (1, 1)])
async def test_an_older_write_that_lands_late_changes_nothing(store: Store, base: tuple[int, int] | None) -> None:
    await write(store, (1, 1), {"x": "1"})
    await write(store, (1, 3), {"x": "3"})
    assert (await write(store, (1, 2), {"x": "2"}, base)).status == "stale"
    assert await fetch(store, "a") == {"a": ((1, 3), {"x": "3"})}


async def test_a_change_of_what_is_not_there_is_behind_and_writes_nothing(store: Store) -> None:
    absent = await write(store, (1, 2), {"x": "2"}, (1, 1))
    assert absent.status == "behind"
    assert absent.listed == {}
    await write(store, (1, 1), {"x": "1"})
    assert (await write(store, (1, 9), {"x": "9"}, (1, 8))).status == "behind"
    assert (await write(store, (2, 2), {"x": "2"}, (2, 1))).status == "behind"
    assert await fetch(store, "a") == {"a": ((1, 1), {"x": "1"})}


@pytest.mark.parametrize("base", [None, (1, 1), (1, 2)])
async def test_who_writes_with_an_epoch_that_has_ended_is_fenced(store: Store, base: tuple[int, int] | None) -> None:
    await write(store, (2, 1), {"x": "new"})
    fenced = await write(store, (1, 9), {"x": "old"}, base)
    assert fenced.status == "fenced"
    assert fenced.listed["a"].version == (2, 1)
    assert await fetch(store, "a") == {"a": ((2, 1), {"x": "new"})}


async def test_versions_are_exact_up_to_2_to_the_53(store: Store) -> None:
    most = 2**53
    await write(store, (most - 1, most - 1), {"x": "1"})
    assert (await write(store, (most - 1, most), {"x": "2"}, (most - 1, most - 1))).status == "applied"
    assert (await write(store, (most - 1, most - 1), {"x": "3"})).status == "stale"
    assert (await write(store, (most - 2, most), {"x": "3"})).status == "fenced"
    written = await write(store, (most, 1), {"x": "4"})
    assert written.status == "applied"
    assert written.listed["a"].version == (most, 1)
    assert await fetch(store, "a") == {"a": ((most, 1), {"x": "4"})}


async def test_a_slice_lives_as_long_as_it_said_and_may_begin_anew_then(store: Store) -> None:
    await write(store, (2, 5), {"x": "1"}, life=SHORT)
    await store.passes(LONGER)
    assert await fetch(store, "a") == {}
    gone = await write(store, (2, 6), {"x": "2"}, (2, 5))
    assert gone.status == "behind"
    assert gone.listed == {}
    assert (await write(store, (1, 1), {"y": "1"})).status == "applied"
    assert await fetch(store, "a") == {"a": ((1, 1), {"y": "1"})}


async def test_a_slice_is_renewed_by_no_changes_on_top_of_its_own_version(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"}, life=SHORT)
    await store.passes(SHORT / 2)
    renewed = await write(store, (1, 1), {}, (1, 1))
    assert renewed.status == "applied"
    assert renewed.listed["a"].age < SHORT / 2
    await store.passes(LONGER)
    assert await fetch(store, "a") == {"a": ((1, 1), {"x": "1"})}


async def test_a_write_that_is_refused_renews_nothing(store: Store) -> None:
    await write(store, (2, 2), {"x": "1"}, life=SHORT)
    await store.passes(SHORT / 2)
    assert (await write(store, (2, 1), {"x": "2"})).status == "stale"
    assert (await write(store, (2, 4), {"x": "2"}, (2, 3))).status == "behind"
    assert (await write(store, (1, 1), {"x": "2"})).status == "fenced"
    await store.passes(SHORT)
    assert await fetch(store, "a") == {}


async def test_who_writes_hears_of_all_slices_of_the_room_and_their_ages(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"}, node="a")
    await store.passes(SHORT)
    await write(store, (7, 3), {"x": "1"}, node="b")
    listed = (await write(store, (1, 9), {}, (1, 8), node="c")).listed
    assert {node: one.version for node, one in listed.items()} == {"a": (1, 1), "b": (7, 3)}
    ages = {str(node): one.age for node, one in listed.items()}
    assert SHORT - 0.01 < ages["a"] - ages["b"] < 10 * SHORT
    assert 0 <= ages["b"] < SHORT


async def test_a_slice_that_ran_out_is_listed_no_more(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"}, node="a", life=SHORT)
    assert set((await write(store, (1, 1), {"x": "1"}, node="b")).listed) == {"a", "b"}
    await store.passes(LONGER)
    assert set((await write(store, (1, 1), {}, (1, 1), node="b")).listed) == {"b"}


async def test_an_empty_slice_is_still_a_slice_and_refuses_what_is_older(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"})
    assert set((await write(store, (1, 2), {"x": None}, (1, 1))).listed) == {"a"}
    assert await fetch(store, "a") == {"a": ((1, 2), {})}
    assert (await write(store, (1, 1), {"x": "1"})).status == "stale"
    assert (await write(store, (1, 3), {})).status == "applied"
    assert await fetch(store, "a") == {"a": ((1, 3), {})}


async def test_rooms_and_instances_may_have_any_names_and_are_apart(store: Store) -> None:
    for room in NAMES:
        await write(store, (1, 1), {"room": room}, node=room, room=room)
        await write(store, (1, 2), {"room": room}, node="other", room=room)
    for room in NAMES:
        listed = (await write(store, (1, 1), {}, (1, 1), node=room, room=room)).listed
        assert {node: one.version for node, one in listed.items()} == {room: (1, 1), "other": (1, 2)}
        assert await fetch(store, room, room=room) == {room: ((1, 1), {"room": room})}


async def test_of_no_instance_nothing_is_read(store: Store) -> None:
    await write(store, (1, 1), {"x": "1"})
    assert await fetch(store) == {}
    assert await fetch(store, "b") == {}
    assert await fetch(store, "a", room="another") == {}


# ------------------------------------------------------------------------------------------------------------ notes


async def test_notes_are_read_in_their_order_once_by_whom_they_are_for(store: Store) -> None:
    await post(store, ("a", "1"), ("b", "1"), ("a", "2"), ("a", "\U0001f600\n\x00"))
    await post(store, ("a", "4"))
    assert await store.take("a") == ["1", "2", "\U0001f600\n\x00", "4"]
    assert await store.take("a") == []
    assert await store.take("b") == ["1"]
    assert await store.take("nobody") == []


async def test_many_notes_keep_their_order(store: Store) -> None:
    for first in range(0, 2560, 64):
        await post(store, *(("ab"[number % 2], str(number)) for number in range(first, first + 64)), most=10_000)
    assert await store.take("a") == [str(number) for number in range(0, 2560, 2)]
    assert await store.take("b") == [str(number) for number in range(1, 2560, 2)]


async def test_a_full_inbox_keeps_the_last_notes(store: Store) -> None:
    for first in range(0, 1000, 100):
        await post(store, *(("a", str(number)) for number in range(first, first + 100)), most=200)
    kept = await store.take("a")
    assert kept == [str(number) for number in range(1000 - len(kept), 1000)]
    assert 200 <= len(kept) <= 400  # Redis cuts off whole blocks only


@pytest.mark.parametrize("node", NAMES)
async def test_an_inbox_is_that_of_an_instance_of_any_name(store: Store, node: str) -> None:
    await post(store, (node, "note"))
    assert await store.take(node) == ["note"]


async def test_no_notes_are_no_trouble(store: Store) -> None:
    await post(store)
    assert await store.take("a") == []
