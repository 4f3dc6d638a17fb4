"""Who waits to be let in waits where the moderators are, whichever instance it came to."""

from __future__ import annotations

import pytest

from signalling import messages as m
from signalling import moderation
from signalling.commands import CloseCode
from state.model import ParticipantId, RoomName
from tests.support.neighbours import Instance, Neighbours
from tests.support.playbook import MODERATOR, Client

from .test_elsewhere import stays

ROOM = RoomName("room")


def instances() -> tuple[Neighbours, Instance, Instance]:
    """The instance that a room would be at home at if it were empty, and another."""
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    return (neighbours, a, b) if a.conference.cluster.home(ROOM) is None else (neighbours, b, a)


def knocks(instance: Instance, identity: str = "eve", *, wait: bool = True, stay: bool = False) -> Client:
    """Somebody comes to the room, and need not be let in."""
    client = instance.connects()
    client.says(m.Join(token=instance.token(identity, wait=wait), stay=stay))
    return client


def is_sent_on(client: Client, instance: Instance) -> None:
    """It is asked to join there."""
    assert client.hears(m.Redirect).url == instance.url
    client.is_sent_away("redirected", CloseCode.NORMAL)


def test_who_waits_where_nobody_is_is_sent_on_to_where_the_room_is_in_use() -> None:
    neighbours, home, other = instances()
    mod = stays(other, "mod", MODERATOR)
    neighbours.passes(5.0)
    eve = knocks(home)
    eve.hears(m.Waiting)
    neighbours.passes(1.0)
    is_sent_on(eve, other)
    mod.told.clear()
    eve = knocks(other)
    assert mod.hears(m.ParticipantWaiting).participant == eve.hears(m.Waiting).participant


def test_who_waited_first_is_sent_on_when_somebody_comes_elsewhere() -> None:
    neighbours, home, other = instances()
    eve = knocks(home)
    eve.hears(m.Waiting)
    neighbours.passes(20.0)
    eve.hears_nothing()
    stays(other, "mod", MODERATOR)
    neighbours.passes(6.0)
    is_sent_on(eve, other)


def test_who_waited_is_sent_on_after_the_last_one_here_went_on_elsewhere() -> None:
    neighbours, home, other = instances()
    here = stays(home, "here")
    eve = knocks(home)
    eve.hears(m.Waiting)
    stays(other, "mod", MODERATOR)
    neighbours.passes(3.0)
    eve.hears_nothing()
    here.says(m.Leave())
    neighbours.passes(1.0)
    is_sent_on(eve, other)


def test_who_cannot_get_there_waits_on() -> None:
    neighbours, home, other = instances()
    stays(other, "mod", MODERATOR)
    eve = knocks(home, stay=True)
    eve.hears(m.Waiting)
    neighbours.passes(10.0)
    eve.hears_nothing()


@pytest.mark.parametrize("shut", [m.WaitingRoom(on=True), m.Lock()], ids=["waiting room", "lock"])
def test_who_was_let_in_too_early_and_knocks_again_comes_to_where_the_moderators_are(shut: m.ClientMessage) -> None:
    neighbours, home, other = instances()
    mod = stays(other, "mod", MODERATOR)
    mod.says(shut)
    neighbours.passes(5.0)
    eve = knocks(home, wait=False)
    eve.hears(m.Welcome)
    neighbours.passes(1.0)
    assert isinstance(eve.told[-1], m.Goodbye)
    assert eve.told[-1].code == "room_locked"
    neighbours.passes(5.0)
    is_sent_on(knocks(home, wait=False), other)


@pytest.mark.parametrize("shut", [m.WaitingRoom(on=True), m.Lock()], ids=["waiting room", "lock"])
def test_who_is_kept_out_and_says_that_it_cannot_get_there_is_kept_out_here(shut: m.ClientMessage) -> None:
    neighbours, home, other = instances()
    stays(other, "mod", MODERATOR).says(shut)
    neighbours.passes(5.0)
    knocks(home, wait=False, stay=True)  # sent out when what holds is heard
    neighbours.passes(1.0)
    for _ in range(2):
        eve = knocks(home, wait=False, stay=True)
        assert not [message for message in eve.told if isinstance(message, m.Welcome)]
        neighbours.passes(1.0)
        assert not [message for message in eve.told if isinstance(message, m.Welcome)]


def test_who_is_admitted_where_it_stays_is_left_in_peace() -> None:
    neighbours, home, other = instances()
    stays(other, "mod", MODERATOR)
    eve = knocks(home, stay=True)
    waiting = eve.hears(m.Waiting).participant
    neighbours.passes(3.0)
    home.moderates(lambda conference: moderation.admit(conference, ROOM, ParticipantId(waiting), "admin"))
    neighbours.passes(5.0)
    eve.hears(m.Welcome)
    assert not [message for message in eve.told if isinstance(message, m.Migrate)]


def test_nothing_is_left_of_a_room_for_which_nobody_waits_any_more() -> None:
    neighbours, home, _ = instances()
    eve = knocks(home)
    eve.hears(m.Waiting)
    neighbours.passes(301.0)
    eve.is_sent_away("waiting_timeout", CloseCode.TRY_LATER)
    neighbours.passes(6.0)
    assert not list(home.sharing.ours)
    assert not home.sharing.view.rooms
