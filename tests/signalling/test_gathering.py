"""A room in use at several instances comes together at its home."""

from __future__ import annotations

from signalling import messages as m
from signalling import migration, moderation
from signalling.commands import CloseCode
from state.modes import Mode
from state.reconciliation import Reconciliation
from state.timing import Timing
from tests.signalling.test_elsewhere import ROOM, stays, told
from tests.support.neighbours import Neighbours


def test_the_smaller_side_is_asked_to_go_to_the_larger_one_within_moments() -> None:
    neighbours = Neighbours("a", "b")
    neighbours.away = True
    neighbours.passes(6.0)
    at_a = [stays(neighbours["a"], name) for name in ("ada", "amy", "abe")]
    at_b = [stays(neighbours["b"], name) for name in ("bob", "bea")]
    neighbours.passes(6.0)
    for client in (*at_a, *at_b):
        assert told(client, m.Migrate) == []
    neighbours.away = False
    neighbours.passes(8.0)
    for client in at_b:
        (asked,) = told(client, m.Migrate)
        assert (asked.url, asked.reason) == ("ws://a/ws", "room_moved")
    for client in at_a:
        assert told(client, m.Migrate) == []
    # One that goes is not ended here by its newer session there, until it leaves by itself.
    there = neighbours["a"].connects()
    there.says(m.Join(token=neighbours["a"].token("bob")))
    neighbours.passes(2.0)
    assert at_b[0].closed is None
    at_b[0].says(m.Leave(reason="migrated"))
    neighbours.passes(0.3)
    assert at_b[0].closed == CloseCode.NORMAL
    assert neighbours["a"].conference.rooms.size(ROOM) == 4


def test_nobody_is_asked_to_go_to_an_instance_that_has_yet_to_recover_so_that_all_hear_of_it_once() -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    at_a = [stays(a, name) for name in ("ada", "amy", "abe")]
    at_b = [stays(b, name) for name in ("bob", "bea")]
    neighbours.away = True
    neighbours.passes(10.0)
    slow = Timing(settle=10.0, settle_most=10.0)
    a.sharing.reconciliation = Reconciliation(slow, a.now)
    neighbours.away = False
    neighbours.passes(9.0)
    assert [one.sharing.modes.mode for one in (a, b)] == [Mode.RECONCILING, Mode.CLUSTERED]
    assert b.conference.cluster.home(ROOM) == a.url  # where one who comes now is sent, and told of it in the welcome
    for client in at_b:
        assert told(client, m.Migrate) == []
    neighbours.passes(6.0)
    assert a.sharing.modes.mode is Mode.CLUSTERED
    for client in at_b:
        (asked,) = told(client, m.Migrate)
        assert asked.url == a.url
    assert [len(told(client, m.Recovered)) for client in at_a] == [1, 1, 1]


def test_who_does_not_go_is_asked_again_later_and_not_sent_away() -> None:
    neighbours = Neighbours("a", "b")
    for name in ("ada", "amy"):
        stays(neighbours["a"], name)
    bob = stays(neighbours["b"], "bob")
    neighbours.passes(59.0)
    assert told(bob, m.Migrate) == []  # it said that it cannot get there
    neighbours.passes(70.0)
    assert 2 <= len(told(bob, m.Migrate)) <= 3
    assert bob.closed is None


def test_an_instance_that_ends_sends_its_people_to_the_homes_of_their_rooms() -> None:
    neighbours = Neighbours("a", "b", "c")
    ada = stays(neighbours["a"], "ada")
    neighbours["a"].sharing.set_record(neighbours["a"].now, accepting=False)
    neighbours["a"].moderates(
        lambda conference: migration.begin(conference, "", "shutting_down", spread=0.0, patience=5.0)
    )
    neighbours.passes(0.5)
    (asked,) = told(ada, m.Migrate)
    assert asked.url in ("ws://b/ws", "ws://c/ws")
    # Who comes to it now is sent there, too.
    late = neighbours["a"].connects()
    late.says(m.Join(token=neighbours["a"].token("late")))
    assert late.hears(m.Redirect).url == asked.url
    # And nobody is sent to it any more.
    assert neighbours["b"].conference.cluster.home(ROOM) != "ws://a/ws"


def test_a_lock_does_not_keep_those_out_who_come_from_the_other_instance() -> None:
    neighbours = Neighbours("a", "b")
    for name in ("ada", "amy"):
        stays(neighbours["a"], name)
    bob = stays(neighbours["b"], "bob")
    neighbours.passes(1.0)
    neighbours["a"].moderates(lambda conference: moderation.lock(conference, ROOM, "admin"))
    neighbours.passes(1.0)
    # Bob is in the room, though elsewhere; so he may go to where the others are.
    there = neighbours["a"].connects()
    there.says(m.Join(token=neighbours["a"].token("bob")))
    there.hears(m.Welcome)
    bob.says(m.Leave(reason="migrated"))
    # Who was not in it stays out.
    stranger = neighbours["a"].connects()
    stranger.says(m.Join(token=neighbours["a"].token("stranger")))
    assert stranger.hears(m.Error).code == "room_locked"
