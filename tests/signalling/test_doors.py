"""Doors remember what they must, for as long as they must, and no more than fits."""

from __future__ import annotations

from signalling.doors import Doors
from signalling.tokens import LEEWAY, Claims, Grant
from state.model import Identity, RoomName

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
