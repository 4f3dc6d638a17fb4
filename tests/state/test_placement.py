"""A room's home: all instances that know the same pick the same, and few rooms move when an instance comes or goes."""

from __future__ import annotations

import random

from state import placement
from state.model import NodeId, RoomName
from state.wire import NodeRecord, change_record

ROOMS = [RoomName(f"room {number}") for number in range(300)]


def record(name: str, *, region: str = "", accepting: bool = True, url: str | None = None) -> NodeRecord:
    """An instance."""
    address = f"wss://{name}/ws" if url is None else url
    return NodeRecord(node=NodeId(name), nonce="n", url=address, region=region, accepting=accepting)


FOUR = [record(name) for name in "abcd"]


def homes(nodes: list[NodeRecord]) -> dict[RoomName, NodeId]:
    """Where new rooms are, by what the first of these instances says."""
    return {room: placement.home(room, nodes[0], nodes[1:], {}).node for room in ROOMS}


def test_all_pick_the_same_in_whatever_order_they_know_the_others() -> None:
    expected = homes(FOUR)
    for seed in range(10):
        assert homes(random.Random(seed).sample(FOUR, len(FOUR))) == expected


def test_rooms_are_spread() -> None:
    counts = [list(homes(FOUR).values()).count(one.node) for one in FOUR]
    assert min(counts) > len(ROOMS) / len(FOUR) / 2


def test_only_the_rooms_of_an_instance_that_is_gone_move() -> None:
    before, after = homes(FOUR), homes(FOUR[:-1])
    assert all(after[room] == home for room, home in before.items() if home != "d")


def test_a_room_is_where_most_of_its_people_are() -> None:
    hosts = {NodeId("a"): 2, NodeId("c"): 3}
    assert {placement.home(room, FOUR[0], FOUR[1:], hosts).node for room in ROOMS} == {"c"}


def test_an_instance_that_is_about_to_end_gets_no_room_and_keeps_none() -> None:
    nodes = [*FOUR[:3], record("d", accepting=False)]
    assert "d" not in homes(nodes).values()
    assert placement.home(ROOMS[0], nodes[0], nodes[1:], {NodeId("d"): 9}).node != "d"


def test_an_instance_that_came_back_at_its_old_address_takes_the_place_of_the_one_before() -> None:
    before, again = record("d"), change_record(record("e", url="wss://d/ws"), started=9.0)
    seen_by_another = {placement.home(room, FOUR[0], [*FOUR[1:3], again, before], {}).node for room in ROOMS}
    assert seen_by_another == {"a", "b", "c", "e"}
    seen_by_itself = {placement.home(room, again, [*FOUR[:3], before], {NodeId("d"): 3}).node for room in ROOMS}
    assert seen_by_itself == {"a", "b", "c", "e"}


def test_where_all_are_about_to_end_it_is_us() -> None:
    nodes = [record(name, accepting=False) for name in "ab"]
    assert placement.home(ROOMS[0], nodes[0], nodes[1:], {}).node == "a"


def test_an_instance_that_clients_cannot_reach_is_home_to_its_own_at_most() -> None:
    nodes = [record("a", url=""), record("b", url="")]
    assert set(homes(nodes).values()) == {"a"}


def test_a_new_room_stays_in_the_region_it_is_asked_for_in() -> None:
    nodes = [record("a", region="west"), record("b", region="east"), record("c", region="west")]
    assert set(homes(nodes).values()) == {"a", "c"}
    alone = [record("a", region="north", accepting=False), *nodes[1:]]
    assert set(homes(alone).values()) == {"b", "c"}
