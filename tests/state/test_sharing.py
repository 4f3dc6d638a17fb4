"""What instances that share rooms promise each other, with the network and the time simulated."""

from __future__ import annotations

from state.model import RoomName
from state.modes import Mode
from tests.state.world import World, locked

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
