"""What other instances say is put into effect once, late or early, and by one that slept not at all."""

from __future__ import annotations

import pytest

from signalling import messages as m
from signalling import moderation
from signalling.cluster_news import LINGERS
from signalling.commands import CloseCode
from tests.support.neighbours import Neighbours
from tests.support.playbook import MODERATOR

from .test_elsewhere import ROOM, apart, stays, told


def test_what_held_in_a_room_that_went_on_elsewhere_is_forgotten_there_when_the_others_have_heard_of_it() -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    ada = stays(a, "ada", MODERATOR)
    neighbours.passes(0.5)
    ada.says(m.Lock())
    ada.says(m.SetMetadata(metadata={"title": "salaries"}))
    neighbours.passes(0.5)
    ada.vanishes()
    again = stays(b, "ada", MODERATOR)  # her way to the first is broken
    neighbours.passes(5.0)
    assert b.conference.doors.rules(ROOM).locked
    again.says(m.Unlock())
    again.says(m.SetMetadata(metadata={"title": None}))
    neighbours.passes(LINGERS)
    again.says(m.Leave())
    neighbours.passes(10.0)
    assert [bool(one.conference.doors.of(ROOM)) for one in (a, b)] == [False, False]
    for instance in (a, b):
        bob = stays(instance, "bob")
        neighbours.passes(2.0)
        assert not bob.closed
        bob.says(m.Leave())
        neighbours.passes(2.0)


def test_a_ban_at_another_instance_sends_away_who_waits() -> None:
    neighbours, ada, bob = apart()
    eve = neighbours["a"].connects()
    eve.says(m.Join(token=neighbours["a"].token("eve", wait=True), stay=True))
    eve.hears(m.Waiting)
    bob.says(m.Ban(identity="eve"))
    neighbours.passes(1.0)
    eve.is_sent_away("banned", CloseCode.REMOVED)
    assert [one.reason for one in told(ada, m.WaitingEnded)] == ["banned"]


@pytest.mark.parametrize("seed", range(6))
def test_a_meeting_after_one_that_was_ended_is_another_one_whatever_an_instance_says_that_slept(seed: int) -> None:
    neighbours, ada, bob = apart()
    a, b = neighbours["a"], neighbours["b"]
    a.conference.random(10 * seed)  # which of two incarnations sorts first is chance
    sleeping = neighbours.instances.pop("b")
    a.moderates(lambda conference: moderation.end_room(conference, ROOM, "admin"))
    ada.is_sent_away("room_ended", CloseCode.REMOVED)
    neighbours.passes(1.0)
    again = stays(a, "ada", MODERATOR)
    neighbours.passes(3.0)
    sleeping.now = a.now
    neighbours.instances["b"] = sleeping
    neighbours.passes(3.0)
    bob.is_sent_away("room_ended", CloseCode.REMOVED)
    zoe = stays(a, "zoe")
    newcomer = stays(b, "newcomer", MODERATOR)
    neighbours.passes(3.0)
    newcomer.says(m.SetMetadata(metadata={"title": "tea"}))
    neighbours.passes(3.0)
    assert not any(client.closed for client in (again, zoe, newcomer))
    assert {one.conference.doors.of(ROOM).incarnation for one in (a, b)} == {a.conference.doors.of(ROOM).incarnation}
