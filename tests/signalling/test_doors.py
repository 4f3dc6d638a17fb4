"""Doors remember what they must, for as long as they must, and no more than fits."""

from __future__ import annotations

import time

import pytest

from signalling.door_words import Unreadable
from signalling.doors import MOST_PER_ROOM, Doors
from signalling.keys import LEEWAY
from signalling.messages import MAX_METADATA_FIELDS
from signalling.tokens import Claims, Grant
from state.model import Identity, RoomName
from state.settings import RoomSettings
from state.wire import MAX_COUNT, dump_settings, parse_settings

ROOM, ADA = RoomName("room"), Identity("ada")
DAY = 24 * 3600.0


def token(*, issued: float | None, expires: float, identity: Identity = ADA) -> Claims:
    """A verified token."""
    return Claims(ROOM, identity, "Ada", Grant(frozenset()), expires, issued)


def test_a_removal_is_remembered_as_long_as_the_token_that_was_used_lives() -> None:
    doors = Doors(DAY)
    doors.remove(ROOM, ADA, wall=1000.0, expires=10 * DAY)
    old = token(issued=999.0, expires=10 * DAY)
    assert doors.is_removed(old, 10 * DAY + LEEWAY - 1)
    doors.sweep(10 * DAY + LEEWAY)
    assert not doors._decided["removal"]


def test_a_token_that_lives_longer_and_is_tried_keeps_the_removal() -> None:
    doors = Doors(DAY)
    doors.remove(ROOM, ADA, wall=0.0, expires=10.0)
    old = token(issued=-1.0, expires=30 * DAY)
    assert doors.is_removed(old, DAY - 1)
    assert doors.is_removed(old, 30 * DAY)


def test_tokens_issued_from_the_removal_on_open_again() -> None:
    doors = Doors(DAY)
    doors.remove(ROOM, ADA, wall=1000.5, expires=2000.0)
    assert doors.is_removed(token(issued=1000.0, expires=2000.0), 1001.0)
    assert not doors.is_removed(token(issued=1001.0, expires=2000.0), 1001.0)


def test_an_expired_removal_is_forgotten_when_it_is_asked_about() -> None:
    doors = Doors(DAY)
    doors.remove(ROOM, ADA, wall=0.0, expires=10.0)
    assert not doors.is_removed(token(issued=None, expires=3 * DAY), DAY + 1)
    assert not doors._decided["removal"]


def test_memory_is_bounded_and_the_oldest_decision_goes_first() -> None:
    doors = Doors(DAY, most_per_room=2)
    for identity in ("a", "b", "a", "c"):
        doors.ban(ROOM, Identity(identity))
        doors.remove(ROOM, Identity(identity), 0.0, 0.0)
    assert doors.banned(ROOM) == ["a", "c"]
    assert not doors.is_removed(token(issued=None, expires=1.0, identity=Identity("b")), 1.0)
    assert doors.is_removed(token(issued=None, expires=1.0, identity=Identity("a")), 1.0)


def test_no_room_makes_a_server_forget_what_was_decided_in_another() -> None:
    doors = Doors(DAY, most=100, most_per_room=10)
    doors.ban(RoomName("quiet"), ADA)
    for number in range(1000):
        doors.ban(ROOM, Identity(str(number)))
    assert doors.is_banned(RoomName("quiet"), ADA)
    assert doors.banned(ROOM) == [str(number) for number in range(990, 1000)]
    for number in range(1000):
        doors.ban(RoomName(str(number)), ADA)
    assert len(doors._decided["ban"]) == 100


def test_an_ended_room_leaves_neither_settings_nor_changed_permissions_behind() -> None:
    doors = Doors(DAY)
    assert doors.set(ROOM, locked=True)
    assert not doors.set(ROOM, locked=True)
    doors.change_grant(ROOM, ADA, Grant(frozenset(), admin=True), 5.0)
    assert doors.grant_of(token(issued=1.0, expires=9.0)).admin
    doors.emptied(ROOM)
    assert not doors.rules(ROOM).locked
    assert not doors.grant_of(token(issued=1.0, expires=9.0)).admin


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("metadata", "junk"),
        ("metadata", "5"),
        ("metadata", "[" * 100_000),
        ("removal", "[1]"),
        ("removal", '["1", 2]'),
        ("removal", "[1, NaN]"),
        ("removal", f"[1, {'9' * 400}]"),
        ("grant", "[1, 2, 3, 4, 5]"),
        ("grant", "{}"),
        ("ended", "junk"),
        ("ended", "inf"),
    ],
)
def test_settings_that_cannot_be_read_are_not_adopted(kind: str, text: str) -> None:
    doors = Doors(DAY)
    doors.ban(ROOM, ADA)
    before = doors.of(ROOM)
    put = RoomSettings().put_lasting if kind in ("removal", "ended") else RoomSettings().put_open
    with pytest.raises(Unreadable):
        doors.adopt(ROOM, put(kind, "ada", text, "b"))
    assert doors.of(ROOM) == before
    doors.sweep(DAY)
    assert doors.rules(ROOM).metadata == {}


def test_who_hears_of_a_counter_larger_than_all_does_not_count_on_from_there() -> None:
    doors, others = Doors(DAY), Doors(DAY)
    doors.ban(ROOM, ADA)
    with pytest.raises(Unreadable):
        doors.adopt(ROOM, RoomSettings().put_lasting("ban", "eve", "true", "b", MAX_COUNT - 1))
    assert doors.adopt(ROOM, RoomSettings().put_lasting("ban", "bob", "true", "b", 10**9))  # of long ago
    doors.set(ROOM, locked=True)
    assert others.adopt(ROOM, parse_settings(dump_settings(doors.of(ROOM))))
    assert others.rules(ROOM).locked


def test_all_that_doors_write_can_be_read_elsewhere() -> None:
    doors, others = Doors(DAY), Doors(DAY)
    doors.opened(ROOM, "r")
    doors.set(ROOM, locked=True, waiting_room=True)
    doors.set_metadata(ROOM, {"title": "Tea \ud83d\ude00"})
    doors.ban(ROOM, ADA)
    doors.remove(ROOM, ADA, 1.5, 10.5)
    doors.change_grant(ROOM, ADA, Grant(frozenset(["camera"])), 1.5)
    doors.end(ROOM, 5.0)
    assert others.adopt(ROOM, doors.of(ROOM))
    assert others.of(ROOM) == doors.of(ROOM)


def test_too_many_fields_that_met_may_become_fewer() -> None:
    ours, theirs = Doors(DAY, writer=lambda: "a"), Doors(DAY, writer=lambda: "b")
    for doors in (ours, theirs):
        assert doors.set_metadata(ROOM, {f"{id(doors)}-{n}": "x" for n in range(MAX_METADATA_FIELDS)})
    ours.adopt(ROOM, theirs.of(ROOM))
    first = next(iter(ours.rules(ROOM).metadata))
    assert ours.set_metadata(ROOM, {"one more": "x"}) is None
    assert ours.set_metadata(ROOM, {first: "y"})
    assert ours.set_metadata(ROOM, {first: None})
    assert len(ours.rules(ROOM).metadata) == 2 * MAX_METADATA_FIELDS - 1


def test_looking_through_all_removals_that_fit_holds_nobody_up() -> None:
    doors = Doors(DAY)
    for number in range(MOST_PER_ROOM):
        doors.remove(ROOM, Identity(f"user-{number}"), wall=number, expires=0.0)
    began = time.process_time()
    doors.sweep(DAY + MOST_PER_ROOM / 2)
    doors.sweep(2 * DAY)
    took = time.process_time() - began
    print(f"two looks at {MOST_PER_ROOM} removals took {took * 1000:.1f} ms")
    assert not doors._decided["removal"]
    assert took < 0.1  # looked at one by one they take 1 s
