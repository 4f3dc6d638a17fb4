"""What other instances say is put into effect: what moderators set there, newer sessions, and the end of an outage."""

from __future__ import annotations

import pytest

from signalling import control, moderation
from signalling import messages as m
from signalling.cluster_news import KNOCKS_AGAIN, LINGERS
from signalling.commands import CloseCode, Logged
from signalling.events import Instant, NewsHeard
from state.model import Identity
from state.news import JunkFound
from tests.support.neighbours import Neighbours
from tests.support.playbook import MODERATOR

from .test_elsewhere import ROOM, apart, is_home, stays, told


def test_what_no_instance_can_have_written_is_ignored_and_told_in_the_log() -> None:
    neighbours, _, _ = apart()
    b = neighbours["b"]
    news = NewsHeard(JunkFound("a note: it is too large", 3))
    (line,) = control.handle(b.conference, news, Instant(b.now, b.now))
    assert isinstance(line, Logged)
    assert (line.level, "ignored 3, the last: a note: it is too large" in line.text) == ("warning", True)


def test_what_moderators_set_holds_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Lock())
    ada.says(m.SetMetadata(metadata={"title": "Tea"}))
    neighbours.passes(0.3)
    updates = told(bob, m.RoomUpdated)
    assert (updates[-1].locked, updates[-1].metadata) == (True, {"title": "Tea"})
    bob.says(m.Unlock())
    bob.says(m.SetMetadata(metadata={"title": None}))
    neighbours.passes(0.3)
    update = told(ada, m.RoomUpdated)[-1]
    assert (update.locked, update.metadata) == (False, {})


def test_a_ban_sends_out_and_keeps_out_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Ban(participant=bob.id))
    neighbours.passes(0.3)
    assert (bob.told[-1].code, bob.closed) == ("banned", 4003)  # type: ignore[attr-defined]
    back = neighbours["b"].connects()
    back.says(m.Join(token=neighbours["b"].token("bob"), stay=True))
    back.is_refused("banned")
    ada.says(m.Unban(identity="bob"))
    neighbours.passes(0.3)
    stays(neighbours["b"], "bob")


def test_an_operator_ends_a_room_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    neighbours["a"].moderates(lambda conference: moderation.end_room(conference, ROOM, "admin"))
    neighbours.passes(0.5)
    assert [one.closed for one in (ada, bob)] == [4003, 4003]
    # The end is of that room as it was: who comes back opens it anew.
    stays(neighbours["b"], "bob")
    neighbours.passes(0.5)
    assert neighbours["b"].conference.rooms.size(ROOM) == 1


def test_of_two_sessions_of_one_identity_the_newer_stays() -> None:
    neighbours, ada, _ = apart()
    again = stays(neighbours["b"], "ada")
    neighbours.passes(0.3)
    assert (ada.told[-1].code, ada.closed) == ("replaced", 4001)  # type: ignore[attr-defined]
    assert again.closed is None
    assert neighbours["a"].conference.rooms.by_identity(ROOM, Identity("ada")) is None


def test_while_the_store_is_away_nothing_is_told_but_that_it_is_and_afterwards_one_snapshot() -> None:
    neighbours, ada, bob = apart()
    neighbours.away = True
    neighbours.passes(10.0)
    (notice,) = told(ada, m.Degraded)
    assert (notice.degradation.dependency, notice.degradation.mode) == ("redis", "standalone")
    assert told(bob, m.Degraded)
    cleo = neighbours["b"].joins("cleo") if is_home(neighbours["b"]) else stays(neighbours["b"], "cleo")
    assert neighbours["b"].conference.degraded["redis"].mode == "standalone"
    bob.says(m.Lock())
    bob.says(m.Leave())
    neighbours.passes(20.0)
    ada.hears_nothing()
    neighbours.away = False
    neighbours.passes(8.0)
    ada.told = [message for message in ada.told if not isinstance(message, m.Migrate)]
    updates = [message for message in ada.told if isinstance(message, m.RoomUpdated)]
    kinds = [type(message) for message in ada.told if message not in updates]
    assert kinds == [m.RoomReplaced, m.Recovered]
    room = next(message.room for message in ada.told if isinstance(message, m.RoomReplaced))
    assert {one.id: one.presence for one in room.participants} == {ada.id: "here", cleo.id: "elsewhere"}
    assert room.locked


def test_the_newer_session_is_known_as_such_where_nobody_had_heard_of_the_older_one() -> None:
    neighbours = Neighbours("a", "b")
    for name in ("eve", "ewa", "ada"):
        stays(neighbours["a"], name)
    neighbours.passes(1.0)
    again = stays(neighbours["b"], "ada")  # a room that b knows nothing of yet
    neighbours.passes(1.0)
    assert again.closed is None
    assert neighbours["a"].conference.rooms.by_identity(ROOM, Identity("ada")) is None


@pytest.mark.parametrize("shut", [m.Lock(), m.WaitingRoom(on=True)])
def test_nobody_gets_past_a_door_by_way_of_an_instance_that_did_not_know_of_it(shut: m.Request) -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    ada = stays(a, "ada", MODERATOR)
    neighbours.passes(3.0)
    ada.says(shut)
    neighbours.passes(0.3)
    ada.told.clear()
    eve = stays(b, "eve")
    members = b.conference.rooms.take_changed()
    b.conference.cluster.share(members, {ROOM: b.conference.doors.of(ROOM)}, b.now)
    for pending in b.sharing.take_requests(b.now):  # b says that eve is there, and has not heard of the door yet
        b.sharing.answered(pending.id, neighbours.store.execute(pending.request, b.now), b.now)
    ada.says(m.SetMetadata(metadata={"title": "Tea"}))
    a.shares()
    ada.told.clear()
    assert a.conference.cluster.by_identity(ROOM, Identity("eve")) is not None
    again = a.connects()
    again.says(m.Join(token=a.token("eve"), stay=True))
    assert not told(again, m.Welcome)
    neighbours.passes(0.3)
    assert (eve.told[-1].code, eve.closed) == ("room_locked", 1013)  # type: ignore[attr-defined]
    assert not [one for one in told(eve, m.ParticipantJoined) if one.participant.identity == "ada"]
    # Moderators and those who are in the room may come by any way, and who was let in is not sent out.
    eva = stays(b, "eva", MODERATOR)
    ada_again = stays(b, "ada")
    neighbours.passes(0.3)
    assert (eva.closed, ada_again.closed) == (None, None)


def test_a_door_that_is_shut_after_people_came_sends_none_of_them_out_however_new_they_are() -> None:
    neighbours = Neighbours("a", "b")
    ada = stays(neighbours["a"], "ada", MODERATOR)
    neighbours.passes(3.0)
    bob = stays(neighbours["b"], "bob")  # the first one there
    neighbours.passes(0.2)
    eve = stays(neighbours["b"], "eve")
    ada.says(m.Lock())
    neighbours.passes(0.3)
    assert [told(one, m.RoomUpdated)[-1].locked for one in (bob, eve)] == [True, True]
    assert [one.closed for one in (bob, eve)] == [None, None]


def test_whoever_comes_before_the_first_one_could_know_of_a_lock_is_sent_out_as_well() -> None:
    neighbours = Neighbours("a", "b")
    ada = stays(neighbours["a"], "ada", MODERATOR)
    neighbours.passes(3.0)
    ada.says(m.Lock())
    neighbours.passes(0.3)
    first, second = (stays(neighbours["b"], name) for name in ("eve", "ewa"))
    neighbours.passes(0.3)
    assert [one.closed for one in (first, second)] == [CloseCode.TRY_LATER, CloseCode.TRY_LATER]
    # And again, later: that they were there once does not count as having heard what holds.
    neighbours.passes(KNOCKS_AGAIN + 6.0)
    third = stays(neighbours["b"], "eva")
    neighbours.passes(0.3)
    assert third.closed == CloseCode.TRY_LATER


def test_a_door_that_is_shut_elsewhere_sends_nobody_out_who_is_in() -> None:
    neighbours = Neighbours("a", "b")
    ada, bob = stays(neighbours["a"], "ada", MODERATOR), stays(neighbours["b"], "bob")
    neighbours.passes(3.0)
    eve = stays(neighbours["b"], "eve")
    ada.says(m.Lock())
    neighbours.passes(0.5)
    assert [told(one, m.RoomUpdated)[-1].locked for one in (bob, eve)] == [True, True]
    assert [one.closed for one in (bob, eve)] == [None, None]
    # And being in at one instance opens the door of another.
    again = neighbours["a"].connects()
    again.says(m.Join(token=neighbours["a"].token("bob"), stay=True))
    again.hears(m.Welcome)


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


def test_nor_does_it_pass_into_the_next_meeting_of_others() -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    ada = stays(a, "ada", MODERATOR)
    neighbours.passes(0.5)
    ada.says(m.Lock())
    neighbours.passes(0.5)
    ada.vanishes()
    again = stays(b, "ada", MODERATOR)
    neighbours.passes(2.0)
    again.says(m.Leave())
    neighbours.passes(1.0)
    bob = stays(b, "bob", MODERATOR)
    neighbours.passes(2.0)
    assert not bob.closed
    assert not b.conference.doors.rules(ROOM).locked


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


def test_who_comes_back_by_an_instance_whose_clock_is_behind_stays() -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    neighbours.passes(30.0)
    ada = stays(a, "ada")
    neighbours.passes(3.0)
    ada.vanishes()  # and a does not know yet that she is gone for good
    b.behind = 10.0
    again = stays(b, "ada")
    neighbours.passes(2.0)
    assert not again.closed
    assert a.conference.rooms.by_identity(ROOM, Identity("ada")) is None


def test_of_two_who_come_at_once_by_different_instances_one_stays() -> None:
    neighbours = Neighbours("a", "b")
    sessions = [stays(neighbours[name], "ada") for name in ("a", "b")]
    neighbours.passes(5.0)
    assert sorted(session.closed is None for session in sessions) == [False, True]
