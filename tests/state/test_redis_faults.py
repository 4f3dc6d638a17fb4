"""Whatever happens to Redis, the store says so within its deadline, in one word, and goes on when it is over."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from state.model import NodeId
from state.redis_store import RedisStore
from state.store import StoreError
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.stores import (
    announce,
    each_reason,
    failure,
    fetch,
    post,
    reason,
    redis_store,
    soon_works,
    works,
    write,
)
from tests.support.tcp_proxy import NORMAL, Faults, TcpProxy
from tests.support.waiting import eventually

A = NodeId("a")
TIMEOUT, PROBER_TIMEOUT = 0.5, 0.3  # seconds
LATE = 0.2  # seconds that a deadline may be missed by


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on that server, with short deadlines."""
    async with redis_store(server.url, timeout=TIMEOUT, prober_timeout=PROBER_TIMEOUT) as made:
        yield made


async def timed(asking: Awaitable[object]) -> tuple[str, float]:
    """Why asking failed, and after how many seconds."""
    began = time.monotonic()
    error = await failure(asking)
    return error.reason, time.monotonic() - began


# ------------------------------------------------------------------------------------------------- away, and silent


async def test_nobody_there_is_refused_until_somebody_is() -> None:
    async with redis_store(f"redis://127.0.0.1:{free_port()}") as store:
        assert await each_reason(store) == {"refused"}
        assert await reason(store.receive(A, 1)) == "refused"


async def test_a_server_that_was_killed_is_refused_and_works_when_it_is_back(
    server: RedisServer, store: RedisStore
) -> None:
    await asyncio.gather(*(write(store, (1, 1), {"x": "1"}, room=str(room)) for room in range(16)))
    await works(store)
    await server.kill()
    assert await each_reason(store) <= {"reset", "refused"}
    assert await each_reason(store) == {"refused"}
    await server.restart()
    await store.reset()
    await works(store)  # at once


async def test_after_a_reset_no_connection_of_before_is_used(server: RedisServer, store: RedisStore) -> None:
    await asyncio.gather(*(write(store, (1, 1), {"x": "1"}, room=str(room)) for room in range(16)))
    await works(store)
    await server.restart()
    await store.reset()
    await works(store)


async def test_a_server_that_hangs_is_a_timeout_in_time(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    server.stop()
    for asking, deadline in (
        (lambda: write(store, (1, 1), {"x": "1"}), TIMEOUT),
        (lambda: fetch(store, "a"), TIMEOUT),
        (lambda: post(store, ("a", "1")), TIMEOUT),
        (lambda: announce(store, "a"), PROBER_TIMEOUT),
        (lambda: store.receive(A, 0.2), 1.2),
    ):
        for _ in range(2):  # with a connection of before, and with a new one
            why, after = await timed(asking())
            assert why == "timeout"
            assert deadline <= after < deadline + LATE
    server.cont()
    await works(store)


async def test_200_requests_to_a_server_that_hangs_end_in_time(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    server.stop()
    began = time.monotonic()
    failures = await asyncio.gather(
        *(failure(write(store, (1, 1), {"x": "1"}, room=str(room))) for room in range(200)),
        failure(announce(store, "a")),
    )
    assert time.monotonic() - began < TIMEOUT + LATE
    counted = Counter((each.reason, each.ours) for each in failures)
    assert counted == {("timeout", False): 17, ("pool_exhausted", True): 184}
    server.cont()
    await works(store)


async def test_a_network_that_swallows_everything_is_a_timeout(server: RedisServer) -> None:
    async with TcpProxy(server.url) as network:  # noqa: SIM117
        async with redis_store(network.url, timeout=TIMEOUT, prober_timeout=PROBER_TIMEOUT) as store:
            await works(store)
            await network.becomes(Faults(black_hole=True))
            assert await each_reason(store) == {"timeout"}
            assert (await timed(store.receive(A, 0.1)))[1] < 1.1 + LATE
            await network.becomes(NORMAL)
            await store.reset()
            await works(store)


async def test_that_our_own_process_stood_still_says_nothing_of_redis(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    server.stop()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(failure(write(store, (1, 1), {"x": "1"})))
        await asyncio.sleep(0.05)
        time.sleep(2 * TIMEOUT)  # noqa: ASYNC251
    assert (asking.result().reason, asking.result().ours) == ("stalled", True)
    server.cont()


# ---------------------------------------------------------------------------------------------------- late writes


async def test_a_write_that_timed_out_may_land_and_does_not_win_over_a_newer_one(
    server: RedisServer, store: RedisStore
) -> None:
    await write(store, (1, 1), {"x": "1"})
    server.stop()
    assert (await timed(write(store, (1, 2), {"x": "late"}, (1, 1))))[0] == "timeout"
    newer = asyncio.gather(*(write(store, (1, 3), {"x": "newest"}) for _ in range(3)), return_exceptions=True)
    await asyncio.sleep(TIMEOUT / 2)
    server.cont()
    assert {getattr(one, "status", "") for one in await newer} <= {"applied", "stale"}
    assert await fetch(store, "a") == {"a": ((1, 3), {"x": "newest"})}
    assert (await write(store, (1, 2), {"x": "late"}, (1, 1))).status == "stale"
    assert await fetch(store, "a") == {"a": ((1, 3), {"x": "newest"})}


async def test_a_write_that_the_network_kept_back_lands_after_a_newer_one_and_changes_nothing(
    server: RedisServer, store: RedisStore
) -> None:
    async with TcpProxy(server.url, Faults(latency=1.0)) as slow, redis_store(slow.url, timeout=1.5) as late:
        async with asyncio.TaskGroup() as tasks:
            old = tasks.create_task(failure(write(late, (1, 1), {"x": "late"})))
            await write(store, (1, 2), {"x": "newest"})
        assert old.result().reason == "timeout"

        async def landed() -> bool:
            return "calls=2" in (await server.info("commandstats"))["cmdstat_evalsha"]

        await eventually(landed)
        assert await fetch(store, "a") == {"a": ((1, 2), {"x": "newest"})}


# -------------------------------------------------------------------------------------------------- lost on the way


async def test_connections_that_were_closed_meanwhile_are_made_anew(server: RedisServer, store: RedisStore) -> None:
    await asyncio.gather(*(write(store, (1, 1), {"x": "1"}, room=str(room)) for room in range(16)))
    await works(store)
    await server.kill_clients()
    await store.reset()
    await asyncio.gather(*(write(store, (1, 2), {"x": "1"}, (1, 1), room=str(room)) for room in range(16)))
    await works(store)


async def test_a_reader_whose_connection_is_closed_says_so_and_loses_nothing(
    server: RedisServer, store: RedisStore
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(failure(store.receive(A, 30.0)))
        await asyncio.sleep(0.1)
        await server.kill_clients()
    assert waiting.result().reason == "reset"
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]


async def test_a_reader_that_waits_hears_of_the_first_note_after_everything_was_lost(
    server: RedisServer, store: RedisStore
) -> None:
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(store.receive(A, 30.0))
        await asyncio.sleep(0.1)
        await server.flushall()
        await post(store, ("a", "2"))
    assert waiting.result() == ["2"]


async def test_notes_that_may_not_have_left_the_inbox_come_again_and_none_is_skipped(
    server: RedisServer, store: RedisStore
) -> None:
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]
    server.stop()
    assert await reason(store.receive(A, 0)) == "timeout"  # nobody knows whether "1" is gone
    server.cont()
    await post(store, ("a", "2"))
    got: list[str] = []
    while len(got) < 1 or got[-1] != "2":
        got += await store.receive(A, 1)
    assert got in (["2"], ["1", "2"])


async def test_a_server_that_forgot_the_scripts_is_told_them_again(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    for _ in range(3):
        await server.command("SCRIPT", "FLUSH")
        await works(store)


async def test_everything_that_was_lost_is_behind_and_unknown(server: RedisServer, store: RedisStore) -> None:
    await announce(store, "a")
    await write(store, (1, 1), {"x": "1"})
    await server.flushall()
    assert not (await announce(store, "a")).known
    assert (await write(store, (1, 2), {"x": "2"}, (1, 1))).status == "behind"
    assert (await write(store, (1, 2), {"x": "2"})).status == "applied"


@pytest.mark.parametrize("breaks", [RedisServer.kill_clients, RedisServer.flushall])
async def test_requests_under_way_end_one_way_or_the_other(
    server: RedisServer, store: RedisStore, breaks: Callable[[RedisServer], Awaitable[None]]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        requests = [tasks.create_task(_outcome(write(store, (1, 1), {"x": "1"}, room=str(room)))) for room in range(40)]
        for _ in range(5):
            await breaks(server)
    assert {request.result() for request in requests} <= {"", "reset", "pool_exhausted"}
    await soon_works(store)


async def _outcome(asking: Awaitable[object]) -> str:
    try:
        await asking
    except StoreError as error:
        return error.reason
    return ""
