"""What instances that share rooms promise each other, with the network and the time simulated."""

from __future__ import annotations

import copy

from state import wire
from state.model import RoomName
from state.modes import Mode, Modes, Stays
from state.news import JunkFound, News, RoomChanged, SettingsHeard
from state.pending import Pending
from state.slices import NO_SETTINGS, to_fields
from state.store import Announce, Announced, Request, StoreError, WriteSlice
from state.timing import Timing
from state.wire import Changed
from tests.state.world import Instance, World, locked

ROOM = RoomName("room")


def test_people_on_different_instances_see_each_other() -> None:
    world = World(1)
    a, b, c = world.instances.values()
    world.run(3)
    assert {one.sharing.modes.mode for one in (a, b, c)} == {Mode.CLUSTERED}
    ada, bob = a.join(ROOM, "ada"), b.join(ROOM, "bob")
    world.run(1)
    assert a.roster(ROOM) == b.roster(ROOM) == {ada.id: "ada", bob.id: "bob"}
    a.rename(ROOM, ada.id, "Ada")
    world.run(0.5)
    assert b.roster(ROOM)[ada.id] == "Ada"
    b.leave(ROOM, bob.id)
    world.run(0.5)
    assert a.roster(ROOM) == {ada.id: "Ada"}
    assert ROOM not in b.sharing.ours


def test_while_the_store_is_away_others_are_kept_and_afterwards_all_is_merged() -> None:
    world = World(2)
    a, b, c = world.instances.values()
    world.run(3)
    ada, bob = a.join(ROOM, "ada"), b.join(ROOM, "bob")
    world.run(1)
    for one in world.alive():
        one.link.up = False
    went = world.now
    world.run(60)
    assert {one.changes[-1][1] for one in world.alive()} == {Mode.STANDALONE}
    assert max(one.changes[-1][0] for one in world.alive()) - went < 3
    assert b.roster(ROOM) == {ada.id: "ada", bob.id: "bob"}
    assert all(one.unknown for one in b.sharing.view.elsewhere(ROOM))
    a.leave(ROOM, ada.id)
    cleo, dora = a.join(ROOM, "cleo"), b.join(ROOM, "dora")
    b.write(ROOM, locked)
    world.store.flush()
    for one in world.alive():
        one.link.up = True
    back = world.now
    world.run(9)
    expected = {bob.id: "bob", cleo.id: "cleo", dora.id: "dora"}
    assert a.roster(ROOM) == b.roster(ROOM) == expected
    assert a.settings[ROOM].flag("locked")
    print([(one.name, [(round(at - back, 1), mode.value) for at, mode in one.changes[-2:]]) for one in world.alive()])
    assert {one.sharing.modes.mode for one in world.alive()} == {Mode.CLUSTERED}
    assert list(c.sharing.ours) == []


def test_the_people_of_an_instance_that_died_leave_within_twenty_seconds() -> None:
    world = World(3)
    a, b, _ = world.instances.values()
    world.run(3)
    ada, bob = a.join(ROOM, "ada"), b.join(ROOM, "bob")
    world.run(1)
    b.alive = False
    world.run(13)
    assert bob.id in a.roster(ROOM)
    world.run(6.9)
    assert a.roster(ROOM) == {ada.id: "ada"}


def test_a_store_that_was_flushed_is_filled_again_and_nobody_leaves() -> None:
    world = World(4)
    a, b, _ = world.instances.values()
    world.run(3)
    ada, bob = a.join(ROOM, "ada"), b.join(ROOM, "bob")
    world.run(1)
    world.store.flush()
    for _ in range(100):
        world.run(0.1)
        assert a.roster(ROOM) == b.roster(ROOM) == {ada.id: "ada", bob.id: "bob"}
    assert len(world.store.rooms[ROOM]) == 2
    assert a.changes[-1][1] is Mode.CLUSTERED


def clustered(seed: int) -> World:
    """Three instances that share."""
    world = World(seed)
    world.run(4)
    return world


def test_who_forgot_a_room_and_is_asked_about_it_says_that_nobody_is_there() -> None:
    world = clustered(5)
    a, b, c = world.instances.values()
    bob = b.join(ROOM, "bob")
    world.run(1)
    earlier = copy.deepcopy(world.store)
    b.leave(ROOM, bob.id)
    world.run(1)
    world.go_back(earlier)  # the store says again that bob is there
    ada = a.join(ROOM, "ada")
    world.run(0.3)
    assert a.roster(ROOM) == {ada.id: "ada", bob.id: "bob"}
    a.rename(ROOM, ada.id, "Ada")
    world.run(2)
    assert a.roster(ROOM) == {ada.id: "Ada"}
    assert ROOM not in b.sharing.ours
    assert b.sharing.counts["denials"] == 1
    assert list(c.sharing.ours) == []


def test_who_stood_still_for_longer_than_its_lease_asks_before_it_writes() -> None:
    world = clustered(6)
    a, b, _ = world.instances.values()
    ada = a.join(ROOM, "ada")
    world.run(1)
    asked: list[tuple[float, Request]] = []
    a.stopped = True
    world.run(60)
    a.join(ROOM, "eve")
    send = world.send

    def listen(instance: Instance, pending: Pending) -> None:
        if instance is a:
            asked.append((world.now, pending.request))
        send(instance, pending)

    world.send = listen  # type: ignore[method-assign]
    a.go_on()
    world.run(5)
    assert isinstance(asked[0][1], Announce)
    first_write = next(at for at, request in asked if isinstance(request, WriteSlice))
    assert first_write > asked[0][0], "not before the answer"
    b.join(ROOM, "bob")
    world.run(1)
    assert ada.id in b.roster(ROOM)


def test_while_an_instance_waits_until_it_may_share_again_its_people_are_kept_as_unknown() -> None:
    world = World(7)
    a, b, _ = world.instances.values()
    b.sharing.modes = Modes(world.now, Stays(first=50.0))
    world.run(4)
    a.join(ROOM, "ada")
    bob = b.join(ROOM, "bob")
    world.run(1)
    b.link.up = False
    world.run(4)
    b.link.up = True
    world.flush()
    world.run(40)
    assert b.sharing.modes.mode is Mode.STANDALONE
    (known,) = a.sharing.view.elsewhere(ROOM)
    assert (known.participant.id, known.unknown) == (bob.id, True)


def test_an_instance_says_that_it_is_clustered_only_when_its_people_are_told_so() -> None:
    world = World(10, timings={"b": Timing(settle=6.0)})
    a, b, _ = world.instances.values()
    world.run(8)
    known = a.sharing.members.nodes
    assert known[b.node].clustered
    b.link.up = False
    world.run(10)
    b.link.up = True
    world.run(5)
    assert b.sharing.modes.mode is Mode.RECONCILING
    assert (known[b.node].shares, known[b.node].clustered) == (True, False)
    world.run(4)
    assert b.sharing.modes.mode is Mode.CLUSTERED
    assert known[b.node].clustered


def test_settings_of_a_room_are_heard_by_an_instance_when_somebody_comes_there() -> None:
    world = clustered(8)
    a, b, _ = world.instances.values()
    bob = b.join(ROOM, "bob")
    b.write(ROOM, lambda old, writer, floor: old.put_lasting("ban", "eve", "true", writer, floor))
    b.leave(ROOM, bob.id)
    a.join(ROOM, "ada")
    a.write(ROOM, locked)
    world.run(2)
    assert b.settings[ROOM].is_banned("eve")
    assert not b.settings[ROOM].flag("locked"), "nobody is there whom it would concern"
    b.join(ROOM, "cleo")
    world.run(1)
    assert b.settings[ROOM].flag("locked")


def test_what_held_before_the_first_one_came_is_told_apart_from_what_was_decided_since() -> None:
    world = clustered(11)
    a, b, _ = world.instances.values()
    told: list[SettingsHeard] = []
    take = b.sharing.take_events

    def listen() -> list[News]:
        events = take()
        told.extend(event for event in events if isinstance(event, SettingsHeard))
        return events

    b.sharing.take_events = listen  # type: ignore[method-assign]
    a.join(ROOM, "ada")
    a.write(ROOM, locked)
    world.run(1)
    for _ in range(2):  # the second time, too, though something of the room is known there for a while
        told.clear()
        bob = b.join(ROOM, "bob")
        world.run(0.3)
        assert told
        assert all(one.late for one in told)
        told.clear()
        a.write(ROOM, lambda old, writer, floor: old.put_open("metadata", "title", '"Tea"', writer, floor))
        world.run(0.3)
        assert [one.late for one in told] == [False]
        b.leave(ROOM, bob.id)


def test_until_the_store_answers_nothing_is_known_of_a_room_that_somebody_comes_into() -> None:
    world = clustered(12)
    a, b, _ = world.instances.values()
    a.join(ROOM, "ada")
    world.run(1)
    b.link.hangs = True
    b.join(ROOM, "bob")
    world.run(0.5)
    assert b.sharing.view.is_unheard(ROOM)
    b.link.hangs = False
    world.run(3)
    assert not b.sharing.view.is_unheard(ROOM)
    assert len(b.roster(ROOM)) == 2


def test_what_nobody_of_us_can_have_written_is_counted_and_told() -> None:
    world = clustered(13)
    a, _, _ = world.instances.values()
    a.sharing.received(["{", "[]"], world.now)
    (told,) = a.sharing.take_events()
    assert isinstance(told, JunkFound)
    assert told.why.startswith("a note: ")
    assert a.sharing.counts["unreadable"] == 2
    reply = Announced(True, (), junk=("an announcement: it is too large",))
    a.sharing.set_record(world.now, accepting=False)  # so that it announces itself at once
    (pending,) = [one for one in a.sharing.take_requests(world.now) if isinstance(one.request, Announce)]
    a.sharing.answered(pending.id, reply, world.now)
    assert a.sharing.counts["unreadable"] == 3


def test_a_lifted_ban_is_lifted_everywhere() -> None:
    world = clustered(9)
    a, b, _ = world.instances.values()
    a.join(ROOM, "ada")
    b.join(ROOM, "bob")
    a.write(ROOM, lambda old, writer, floor: old.put_lasting("ban", "eve", "true", writer, floor))
    world.run(1)
    assert b.settings[ROOM].is_banned("eve")
    b.write(ROOM, lambda old, _writer, _floor: old.remove_lasting("ban", "eve"))
    world.run(1)
    assert not a.settings[ROOM].is_banned("eve")


def test_a_circuit_that_an_operator_lets_go_of_is_tried_at_once() -> None:
    world = World(1, "a")
    a = world.instances["a"]
    world.run(3)
    a.sharing.guard.force_open(world.now, "an operator wants it so")
    world.run(3.3)
    a.sharing.guard.release(world.now)
    a.sharing.try_now(world.now)
    asked = [type(pending.request) for pending in a.sharing.take_requests(world.now)]
    assert asked == [Announce]


def test_many_notes_about_one_room_are_one_reason_to_look_at_it() -> None:
    world = World(1, "ab")
    a, b = world.instances.values()
    world.run(3)
    a.join(ROOM, "ada")
    b.join(ROOM, "bob")
    world.run(1)
    bob = next(one for one in a.sharing.view.elsewhere(ROOM)).participant
    fields: dict[str, str | None] = {**to_fields({bob.id: bob}, NO_SETTINGS)}
    notes = [Changed(ROOM, b.node, b.sharing.epoch, 100 + n, None, fields) for n in range(1000)]
    a.sharing.take_events()
    a.sharing.received([wire.dump_note(note) for note in notes], world.now)
    assert a.sharing.take_events() == [RoomChanged(ROOM)]


def test_who_loses_the_lease_by_a_fault_of_its_own_does_not_think_that_it_shares() -> None:
    world = World(1, "a")
    sharing = world.instances["a"].sharing
    world.run(3)
    assert sharing.modes.mode is Mode.CLUSTERED
    now = world.now
    while now < world.now + 20:
        now += 0.1
        sharing.tick(now)
        for pending in sharing.take_requests(now):
            sharing.failed(pending.id, StoreError("pool_exhausted", ours=True), now)
        if now < world.now + 14:
            assert sharing.modes.mode is Mode.CLUSTERED
    assert (sharing.modes.mode, sharing.modes.reason) == (Mode.STANDALONE, "pool_exhausted")
