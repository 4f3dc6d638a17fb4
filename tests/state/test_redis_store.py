"""The store in Redis keeps its bounds: of time, of memory, of round trips, and of what one caller does to another."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from state.model import NodeId
from state.redis_store import RedisStore
from state.store import StoreError
from tests.support.redis_server import RedisServer
from tests.support.stores import announce, fetch, post, redis_store, write
from tests.support.tcp_proxy import Faults, TcpProxy
from tests.support.waiting import eventually, in_time

A = NodeId("a")


async def inbox_length(server: RedisServer) -> int:
    """How many notes are in the inbox of `a`."""
    length = await server.command("XLEN", "auralink:inbox:{a}")
    assert isinstance(length, int)
    return length


# ------------------------------------------------------------------------------------------------------------ inbox


async def test_who_waits_for_a_note_has_it_when_it_is_posted(store: RedisStore) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(store.receive(A, 30.0))
        await asyncio.sleep(0.1)
        await post(store, ("b", "for b"), ("a", "1"))
    assert waiting.result() == ["1"]


async def test_waiting_in_vain_ends_in_time(store: RedisStore) -> None:
    await store.receive(A, 0)
    began = time.monotonic()
    assert await store.receive(A, 0.3) == []
    assert 0.29 < time.monotonic() - began < 0.8


async def test_a_note_stays_in_its_inbox_until_the_next_are_asked_for(server: RedisServer, store: RedisStore) -> None:
    await post(store, ("a", "1"), ("a", "2"))
    assert await store.receive(A, 0) == ["1", "2"]
    assert await inbox_length(server) == 2  # a reader that ends now has lost nothing
    assert await store.receive(A, 0) == []
    assert await inbox_length(server) == 0


async def test_a_new_reader_begins_with_what_the_old_one_had_not_dropped(
    server: RedisServer, store: RedisStore
) -> None:
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]
    async with redis_store(server.url) as other:
        assert await other.receive(A, 0) == ["1"]


async def test_no_note_is_skipped_when_the_names_of_entries_go_back(server: RedisServer, store: RedisStore) -> None:
    await server.command("XADD", "auralink:inbox:{a}", "99999999999999-0", "note", "of a server whose clock was ahead")
    assert len(await store.receive(A, 0)) == 1
    await server.flushall()
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]
    await post(store, ("a", "2"))
    assert await store.receive(A, 0) == ["2"]


async def test_what_others_put_into_an_inbox_does_no_harm(server: RedisServer, store: RedisStore) -> None:
    await server.command("XADD", "auralink:inbox:{a}", "*", "strange", "field")
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]
    assert await store.receive(A, 0) == []
    assert await inbox_length(server) == 0


# ------------------------------------------------------------------------------------------------------- everything


async def test_of_instances_that_ended_nothing_is_left(server: RedisServer, store: RedisStore) -> None:
    await announce(store, "a", lease=0.3)
    await write(store, (1, 1), {"x": "1"}, life=0.3)
    await post(store, ("a", "1"), life=0.3)
    assert await server.command("DBSIZE") == 4

    async def is_empty() -> bool:
        return await server.command("DBSIZE") == 0

    await eventually(is_empty)


async def test_a_record_that_cannot_be_read_hides_no_other(server: RedisServer, store: RedisStore) -> None:
    await server.command("HSET", "auralink:nodes", "new", "99999999999999 nonce [1]", "odd", "what is this?")
    assert [one.node for one in (await announce(store, "a")).nodes] == ["a"]
    assert await server.command("HEXISTS", "auralink:nodes", "odd") == 0


async def test_a_listing_that_cannot_be_read_is_dropped(server: RedisServer, store: RedisStore) -> None:
    await server.command("HSET", "auralink:{room}:nodes", "odd", "what is this?")
    assert set((await write(store, (1, 1), {})).listed) == {"a"}
    assert await server.command("HEXISTS", "auralink:{room}:nodes", "odd") == 0


async def test_notes_for_many_inboxes_take_one_round_trip(server: RedisServer) -> None:
    async with TcpProxy(server.url, Faults(latency=0.05)) as far, redis_store(far.url) as store:
        await post(store, ("a", "connects"))
        began = time.monotonic()
        await post(store, *((f"n{number % 8}", str(number)) for number in range(64)))
        assert 0.1 <= time.monotonic() - began < 0.5  # 0.1 s for each


async def test_slices_of_many_instances_take_one_round_trip(server: RedisServer) -> None:
    async with TcpProxy(server.url, Faults(latency=0.05)) as far, redis_store(far.url) as store:
        for number in range(5):
            await write(store, (1, 1), {"x": "1"}, node=f"n{number}")
        began = time.monotonic()
        assert len(await fetch(store, *(f"n{number}" for number in range(5)))) == 5
        assert 0.1 <= time.monotonic() - began < 0.4


async def test_more_requests_than_connections_wait_for_each_other(server: RedisServer) -> None:
    async with redis_store(server.url, timeout=20.0, connections=4) as store:
        written = await asyncio.gather(*(write(store, (1, 1), {"x": "1"}, room=str(room)) for room in range(300)))
        assert all(one.status == "applied" for one in written)
        clients = await server.command("CLIENT", "LIST", "TYPE", "normal")
        assert isinstance(clients, str)
        assert clients.count("cmd=eval") <= 4


async def test_an_instance_is_announced_while_requests_queue(server: RedisServer) -> None:
    async with redis_store(server.url, timeout=30.0, connections=1) as store, asyncio.TaskGroup() as tasks:
        requests = [tasks.create_task(write(store, (1, 1), {"x": "1"}, room=str(room))) for room in range(500)]
        await asyncio.sleep(0)
        assert not (await announce(store, "a")).fenced
        assert not all(request.done() for request in requests)


async def test_who_is_cancelled_takes_no_connection_along_and_mixes_up_no_answers(server: RedisServer) -> None:
    async with TcpProxy(server.url, Faults(latency=0.01)) as far, redis_store(far.url, connections=1) as store:
        await write(store, (1, 1), {"x": "right"})
        for turn in range(20):
            asking = write(store, (1, 2), {"x": "wrong"}, room="other")
            with suppress(TimeoutError):  # at once, while connecting, while waiting for the answer, too late
                await in_time(asking, 0.003 * turn)
            assert await fetch(store, "a") == {"a": ((1, 1), {"x": "right"})}


async def test_a_request_that_cannot_be_said_is_our_own_fault(store: RedisStore) -> None:
    with pytest.raises(StoreError) as refused:
        await write(store, (1, 1), {"x": "\ud800"})  # half a character
    assert (refused.value.reason, refused.value.ours) == ("invalid", True)
    assert (await write(store, (1, 1), {"x": "1"})).status == "applied"


async def test_a_store_that_is_closed_says_so(store: RedisStore) -> None:
    await announce(store, "a")
    await store.close()
    with pytest.raises(StoreError, match="closed") as refused:
        await announce(store, "a")
    assert refused.value.ours
