"""Whoever can write to the store can lie in an instance's name; but soon the instance itself is heard again."""

from __future__ import annotations

import pytest

from state import wire
from state.model import Identity, Participant, ParticipantId, RoomName
from state.modes import Mode
from state.own import MAX_SEQ
from state.slices import NO_SETTINGS, Version, to_fields
from state.wire import MAX_COUNT, Changed
from tests.state.world import Instance, World
from tests.support.memory_store import Stored

ROOM = RoomName("room")
HEARD_AGAIN = 25.0  # seconds: the patience, and before and after it a renewal there and one of ours
GHOST = ParticipantId("ghost")


def in_one_room(seed: int) -> tuple[World, Instance, Instance]:
    """Ada at one instance and Bob at another, who know of each other."""
    world = World(seed, "ab")
    a, b = world.instances.values()
    world.run(3)
    a.join(ROOM, "ada")
    b.join(ROOM, "bob")
    world.run(1)
    world.promises.taken_ids.add(a.node)  # somebody else speaks in its name now
    return world, a, b


def is_heard(world: World, a: Instance, b: Instance) -> bool:
    """Whether what happens at one instance reaches the other."""
    eve = a.join(ROOM, "eve")
    world.run(0.5)
    came = eve.id in b.roster(ROOM)
    a.leave(ROOM, eve.id)
    world.run(0.5)
    return came and eve.id not in b.roster(ROOM)


@pytest.mark.parametrize("version", [Version(MAX_COUNT, MAX_COUNT), Version(2, MAX_COUNT), Version(2, 1000)])
def test_a_note_with_a_version_larger_than_all_mutes_nobody_for_long(version: Version) -> None:
    world, a, b = in_one_room(1)
    fields = to_fields({GHOST: Participant(GHOST, Identity("ghost"), "Boo")}, NO_SETTINGS)
    note = Changed(ROOM, a.node, version.epoch, version.seq, None, {**fields})
    b.take_in(lambda: b.sharing.received([wire.dump_note(note)], world.now))
    assert GHOST in b.roster(ROOM)
    assert not is_heard(world, a, b)
    world.run(HEARD_AGAIN)
    assert GHOST not in b.roster(ROOM)
    assert is_heard(world, a, b)
    assert b.roster(ROOM).keys() == a.roster(ROOM).keys()


@pytest.mark.parametrize("seq", [1000, MAX_SEQ, MAX_COUNT, 10**16 - 1])
@pytest.mark.parametrize("epochs", [0, 1, MAX_COUNT])
def test_a_slice_with_a_version_larger_than_all_mutes_nobody_and_is_overwritten(epochs: int, seq: int) -> None:
    world, a, b = in_one_room(2)
    before = a.node
    forged = Version(a.sharing.epoch + epochs, seq)
    world.store.rooms[ROOM][before] = Stored(forged, {}, world.now, world.now + 60.0)
    world.run(HEARD_AGAIN)
    world.promises.taken_ids.add(a.node)
    assert is_heard(world, a, b)
    assert a.sharing.modes.mode is Mode.CLUSTERED
    assert b.roster(ROOM).keys() == a.roster(ROOM).keys()
    stored = world.store.rooms[ROOM][a.node].version
    assert max(stored) < MAX_SEQ
    assert a.sharing.is_stored


def test_a_store_that_lost_the_last_changes_is_not_taken_for_a_liar() -> None:
    world, a, b = in_one_room(3)
    world.promises.taken_ids.clear()
    earlier = world.store.rooms[ROOM][a.node]
    kept = Stored(earlier.version, dict(earlier.fields), earlier.renewed, earlier.until)
    eve = a.join(ROOM, "eve")
    world.run(0.3)
    world.store.rooms[ROOM][a.node] = kept
    world.promises.store_lost_writes()
    for _ in range(200):
        world.run(0.1)
        assert eve.id in b.roster(ROOM)
