"""Whatever somebody else writes under our keys in Redis costs at most what stood there, and stops nothing else."""

from __future__ import annotations

import pytest

from state import wire
from state.model import Identity, NodeId, Participant, ParticipantId
from state.redis_commands import MOST_NODES
from state.redis_store import RedisStore
from state.remote import RemoteRoom
from state.slices import SETTINGS, Version
from state.store import Fetched, FetchSlices
from state.wire import MAX_FIELDS, MAX_SLICE, MAX_TEXTS, Changed, NodeRecord, WireError
from tests.support.redis_server import RedisServer
from tests.support.stores import ROOM, announce, fetch, post, write

A, B = NodeId("a"), NodeId("b")
NODES, INDEX, SLICE, INBOX = "auralink:nodes", "auralink:{room}:nodes", "auralink:{room}:node:a", "auralink:inbox:{a}"
LONG = "9" * 5000  # digits
LATER = "9" * 13  # milliseconds since 1970


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
    reply = await store.execute(FetchSlices(ROOM, (A, B, NodeId("nobody"))))
    assert isinstance(reply, Fetched)
    assert set(reply.slices) == {B}
    assert reply.junk == ("a slice: it is no hash",)


async def test_announcements_that_are_none_or_too_large_or_too_many_are_ignored_and_told(
    server: RedisServer, store: RedisStore
) -> None:
    good = [wire.dump_record(NodeRecord(NodeId(f"n{n}"), "x")) for n in range(MOST_NODES)]
    for number, text in enumerate(("{", good[0] + " " * MAX_TEXTS["an announcement"])):
        await server.command("HSET", NODES, f"bad{number}", f"{LATER} nonce {text}")
    reply = await announce(store, "a")
    assert [one.node for one in reply.nodes] == ["a"]
    assert [why.startswith("an announcement: ") for why in reply.junk] == [True, True]
    for number, text in enumerate(good):
        await server.command("HSET", NODES, f"n{number}", f"{LATER} nonce {text}")
    reply = await announce(store, "a")
    assert len(reply.nodes) == MOST_NODES
    assert reply.junk[-1] == f"{MOST_NODES + 1} announcements are more than there can be instances"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({str(n): "" for n in range(MAX_FIELDS + 1)}, "fields are too many"),
        ({"later": "x" * (MAX_SLICE + 1)}, "it is too large"),
        ({"p:x": "x" * (MAX_TEXTS["a member"] + 1)}, "too many for a member"),
        ({SETTINGS: "x" * (MAX_TEXTS["settings"] + 1)}, "too many for settings"),
    ],
)
async def test_a_slice_that_is_larger_than_any_of_us_writes_is_not_taken_and_hides_no_other(
    store: RedisStore, fields: dict[str, str], why: str
) -> None:
    await write(store, (1, 1), {}, node="b")
    await write(store, (1, 1), fields)
    room = RemoteRoom(ROOM)
    fresh, (reason,) = room.fetched(await fetch(store, "a", "b"), [A, B])
    assert fresh == {B}
    assert why in reason


async def test_a_change_that_makes_a_slice_too_large_is_not_taken() -> None:
    room = RemoteRoom(ROOM)
    member = wire.dump_participant(Participant(ParticipantId("p"), Identity("i"), "n"))
    for seq in range(1, MAX_FIELDS // 1000 + 2):
        told: dict[str, str | None] = {f"p:{seq}-{n}": member for n in range(1000)}
        try:
            room.heard(Changed(ROOM, A, 1, seq, seq - 1 if seq > 1 else None, told))
        except WireError:
            break
    assert len(room.slices[A].members) == MAX_FIELDS // 1000 * 1000


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
