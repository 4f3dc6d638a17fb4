"""Whatever somebody else writes under our keys in Redis costs at most what stood there, and stops nothing else."""

from __future__ import annotations

import pytest

from state.model import NodeId
from state.redis_store import RedisStore
from state.slices import Version
from tests.support.redis_server import RedisServer
from tests.support.stores import announce, fetch, post, write

A = NodeId("a")
NODES, INDEX, SLICE, INBOX = "auralink:nodes", "auralink:{room}:nodes", "auralink:{room}:node:a", "auralink:inbox:{a}"
LONG = "9" * 5000  # digits


async def test_keys_of_another_kind_are_replaced(server: RedisServer, store: RedisStore) -> None:
    for key in (NODES, INDEX, SLICE, INBOX):
        await server.command("SET", key, "junk")
    assert [one.node for one in (await announce(store, "a")).nodes] == ["a"]
    assert (await write(store, (1, 1), {"x": "1"})).status == "applied"
    assert await fetch(store, "a") == {A: (Version(1, 1), {"x": "1"})}
    await post(store, ("a", "lost"), ("b", "2"))
    assert await store.receive(A, 0) == []
    assert await store.receive(NodeId("b"), 0) == ["2"]
    await post(store, ("a", "1"))
    assert await store.receive(A, 0) == ["1"]


async def test_a_slice_of_another_kind_hides_no_other(server: RedisServer, store: RedisStore) -> None:
    await write(store, (1, 1), {"x": "1"}, node="b")
    await server.command("RPUSH", SLICE, "junk")
    assert set(await fetch(store, "a", "b")) == {"b"}


@pytest.mark.parametrize("number", ["", "-1", "nan", "1e3", "²", LONG])
async def test_numbers_that_are_none_stop_nobody(server: RedisServer, store: RedisStore, number: str) -> None:
    await write(store, (1, 1), {"x": "1"}, node="b")
    await server.command("HSET", NODES, "junk", f"{number} nonce {{}}")
    await server.command("HSET", INDEX, "one", f"{number}:1:1:99999999999999", "other", f"1:1:1:{number}")
    await server.command("HSET", SLICE, "_epoch", number, "_seq", "1")
    assert [one.node for one in (await announce(store, "a")).nodes] == ["a"]
    assert set(await fetch(store, "a", "b")) == {"b"}
    assert (await write(store, (1, 3), {"x": "3"}, base=(1, 2))).status == "behind"
    written = await write(store, (1, 4), {"x": "4"})
    assert (written.status, set(written.listed)) == ("applied", {"a", "b"})


async def test_a_name_that_is_none_stops_nobody(server: RedisServer, store: RedisStore) -> None:
    await server.command("HSET", INDEX, "%ff", "1:1:1:99999999999999")
    assert set((await write(store, (1, 1), {})).listed) == {"a"}
