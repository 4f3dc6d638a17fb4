"""Whatever is asked of them, the store in memory and the one in Redis answer the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from state.model import NodeId, RoomName
from state.redis_store import RedisStore
from state.slices import Version
from state.store import Announce, Announced, FetchSlices, Post, Reply, Request, WriteSlice, Written
from state.wire import NodeRecord
from tests.support.redis_server import RedisServer
from tests.support.stores import LIFE, InMemory, InRedis

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Few names, so that requests meet; braces, since they mean something to a cluster.
nodes = some.sampled_from(["a", "b{x}"]).map(NodeId)
rooms = some.sampled_from(["r", "{s}"]).map(RoomName)
versions = some.builds(Version, some.integers(1, 3), some.integers(0, 3))
changes = some.dictionaries(
    some.sampled_from(["settings", "p:1", "p:2"]), some.none() | some.text(max_size=3), max_size=3
)

notes = some.lists(some.tuples(nodes, some.text(max_size=3)), max_size=3).map(tuple)


@some.composite
def writes(draw: some.DrawFn) -> WriteSlice:
    """Whole ones, changes, and renewals."""
    version = draw(versions)
    base = draw(some.none() | some.just(version) | versions)
    return WriteSlice(draw(rooms), draw(nodes), version, base, draw(changes), LIFE)


requests = some.one_of(
    writes(),
    some.builds(FetchSlices, rooms, some.lists(nodes, max_size=3).map(tuple)),
    some.builds(
        Announce,
        some.builds(NodeRecord, nodes, some.sampled_from(["x", "y z"]), rooms=some.integers(0, 9)),
        some.just(LIFE),
        some.booleans(),
    ),
    some.builds(Post, notes, some.just(1000), some.just(LIFE)),
)
takes = nodes.map(str)


def apart_from_time(reply: Reply) -> Any:
    """A reply without ages, and with no order where none is promised."""
    match reply:
        case Written(status, listed):
            return status, {node: one.version for node, one in listed.items()}
        case Announced(known, told, fenced):
            return known, fenced, {one.node: one for one in told}
    return reply


@settings(max_examples=300, deadline=None)
@given(asked=some.lists(requests | takes, min_size=1, max_size=25))
async def test_memory_and_redis_give_the_same_answers(
    lasting_server: RedisServer, lasting_store: RedisStore, asked: list[Request | str]
) -> None:
    await lasting_server.flushall()
    one, other = InMemory(), InRedis(lasting_store)
    for number, request in enumerate(asked):
        if isinstance(request, str):
            assert await other.take(request) == await one.take(request), number
        else:
            expected = apart_from_time(await one.execute(request))
            assert apart_from_time(await other.execute(request)) == expected, (number, request)
