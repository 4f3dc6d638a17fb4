"""What may go wrong in a simulation, and what people do meanwhile: drawn from the seed of the world."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

from state.model import RoomName
from state.settings import OFF, ON
from tests.state.world import Instance, Link, World

ROOMS = (RoomName("red"), RoomName("blue"))
PEOPLE = ("ada", "bob", "cleo", "dora")


class Trouble:
    """Faults that come and go, and people who do not care."""

    def __init__(self, world: World, *, long: bool) -> None:
        self.world = world
        self.death_at: float | None = None  # when somebody last left without a word, or the store brought a ghost back
        self.log: list[str] = []
        self._long = long
        self._keeps_leases = False
        self._texts = itertools.count()
        self._snapshot = copy.deepcopy(world.store)

    def people(self, seconds: float, every: float) -> None:
        """Have people do things for a while."""
        random = self.world.random
        at = 0.0
        while (at := at + random.expovariate(1 / every)) < seconds:
            self.world.after(at, self._somebody_acts)

    def faults(self, seconds: float, every: float) -> None:
        """Have things go wrong for a while."""
        random = self.world.random
        at = 0.0
        while (at := at + random.expovariate(1 / every)) < seconds:
            self.world.after(at, self._something_happens)

    def heal(self) -> None:
        """From now on all is well."""
        for instance in self.world.alive():
            instance.link = Link()
            if instance.stopped:
                instance.go_on()

    # ------------------------------------------------------------------------------------------------------ people

    def _somebody_acts(self) -> None:
        random = self.world.random
        instance = random.choice(list(self.world.instances.values()))
        room = random.choice(ROOMS)
        if instance.stopped or not instance.alive:
            return
        here = instance.rooms.get(room)
        if not here or random.random() < 0.25:
            instance.join(room, random.choice(PEOPLE))
        else:
            random.choices((self._leaves, self._renames, self._talks, self._moderates), weights=(0.3, 0.25, 0.15, 0.3))[
                0
            ](instance, room)
        instance.pump()

    def _leaves(self, instance: Instance, room: RoomName) -> None:
        instance.leave(room, self.world.random.choice(sorted(instance.rooms[room])))

    def _renames(self, instance: Instance, room: RoomName) -> None:
        instance.rename(room, self.world.random.choice(sorted(instance.rooms[room])), f"name {next(self._texts)}")

    def _talks(self, instance: Instance, room: RoomName) -> None:
        instance.sharing.say(room, f"{instance.name}: {next(self._texts)}")

    def _moderates(self, instance: Instance, room: RoomName) -> None:
        random, known = self.world.random, instance.settings.get(room)
        who = random.choice(PEOPLE)
        match random.randrange(6):
            case 0:
                instance.write(room, lambda old, writer, floor: old.put_open("flag", "locked", ON, writer, floor))
            case 1:
                instance.write(room, lambda old, writer, floor: old.put_open("flag", "locked", OFF, writer, floor))
            case 2 | 3:
                text = f'"{next(self._texts)}"'
                instance.write(room, lambda old, writer, floor: old.put_open("metadata", "x", text, writer, floor))
            case 4:
                instance.write(room, lambda old, writer, floor: old.put_lasting("ban", who, "true", writer, floor))
            case 5 if known is not None and (banned := list(known.banned())):
                instance.write(room, lambda old, writer, floor: old.remove_lasting("ban", banned[0]))

    # ------------------------------------------------------------------------------------------------------ faults

    def _something_happens(self) -> None:
        random, world = self.world.random, self.world
        instance = random.choice(list(world.instances.values()))
        fault: Callable[[Instance], None] = random.choices(
            (
                self._cut,
                self._bad_link,
                self._mends,
                self._everybody_cut,
                self._stands_still,
                self._dies,
                self._takes_an_id,
                self._flush,
                self._photograph,
                self._goes_back,
            ),
            weights=(0.12, 0.35, 0.12, 0.06, 0.08, 0.05, 0.03, 0.05, 0.08, 0.06),
        )[0]
        self.log.append(f"{world.now:.2f} {instance.name}: {fault.__name__}")
        fault(instance)

    def _cut(self, instance: Instance) -> None:
        hangs = self.world.random.random() < 0.5
        instance.link = Link(up=hangs, hangs=hangs)

    def _everybody_cut(self, _: Instance) -> None:
        for one in self.world.alive():
            self._cut(one)

    def _bad_link(self, instance: Instance) -> None:
        random = self.world.random
        instance.link = Link(
            loss=random.choice((0.0, 0.05, 0.2, 0.5)),
            repeat=random.choice((0.0, 0.3)),
            notes_lost=random.choice((0.0, 0.2, 0.8)),
            notes_repeated=random.choice((0.0, 0.3)),
            delay=random.choice(((0.001, 0.01), (0.001, 0.3), (0.1, 0.8))),
        )

    def _mends(self, instance: Instance) -> None:
        instance.link = Link()

    def _stands_still(self, instance: Instance) -> None:
        if not instance.stopped:
            instance.stopped = True
            self.world.after(
                60.0 if self._long else self.world.random.uniform(0.2, 8.0),
                lambda: instance.go_on() if instance.stopped else None,
            )

    def _dies(self, instance: Instance) -> None:
        self.death_at = self.world.now
        self.world.restart(instance.name)

    def _takes_an_id(self, instance: Instance) -> None:
        other = next(one for one in self.world.alive() if one is not instance)
        if self._long or other.node not in self.world.store.leases:
            return
        # Only a lease that is held refuses a second process. One that the store lost protects nobody, and what two say
        # under one id then cannot be told apart.
        self._keeps_leases = True
        self.death_at = self.world.now
        self.world.promises.taken_ids.add(other.node)
        self.world.restart(instance.name, id=other.node)

    def _flush(self, _: Instance) -> None:
        if not self._keeps_leases:
            self.world.flush()

    def _photograph(self, _: Instance) -> None:
        self._snapshot = copy.deepcopy(self.world.store)

    def _goes_back(self, _: Instance) -> None:
        if self._keeps_leases:
            return
        self.death_at = self.world.now  # the store may name somebody again who has left
        self.world.go_back(self._snapshot)
