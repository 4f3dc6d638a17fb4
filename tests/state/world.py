"""Instances that share rooms over a network that loses, repeats and reorders, in virtual time and from one seed.

What runs is the production code: `Sharing` with its guard, its modes and its settings, and the store's rules. Simulated
are the time, the network between an instance and the store, and what people do.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from state.calls import Call
from state.guard import Guard, Limits, Transition
from state.memory_store import MemoryStore
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.modes import Mode, Modes
from state.news import Heard, ModeMoved, Renamed, RoomChanged, SettingsHeard
from state.settings import ON, RoomSettings
from state.sharing import Sharing
from state.store import Announce, Reply, StoreError, WriteSlice
from state.wire import NodeRecord

TICK = 0.1
READ_EVERY = 0.15


@dataclass
class Link:
    """The way from an instance to the store: whether it is there, and how bad it is."""

    up: bool = True
    hangs: bool = False  # requests arrive, and their answers do not
    loss: float = 0.0
    repeat: float = 0.0  # requests that arrive once more, later
    delay: tuple[float, float] = (0.001, 0.01)


@dataclass
class Instance:
    """An instance with its people, and with what it was told."""

    name: str
    world: World
    sharing: Sharing = field(init=False)
    link: Link = field(default_factory=Link)
    alive: bool = True
    settings: dict[RoomName, RoomSettings] = field(default_factory=dict)
    rooms: dict[RoomName, dict[ParticipantId, Participant]] = field(default_factory=dict)
    changes: list[tuple[float, Mode]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    clock: int = 0  # the largest counter of its writes

    def __post_init__(self) -> None:
        world = self.world

        def guard(listener: Callable[[Transition], None]) -> Guard:
            return Guard("redis", Limits(), listener, world.random.random, world.now)

        record = NodeRecord(node=NodeId(self.name), nonce="", url=f"ws://{self.name}/ws")
        self.sharing = Sharing(
            record, guard=guard, modes=Modes(world.now), random=world.random.randbytes, now=world.now
        )

    @property
    def node(self) -> NodeId:
        return self.sharing.record.node

    # ------------------------------------------------------------------------------------------- what people do

    def join(self, room: RoomName, identity: str) -> Participant:
        """Somebody comes in."""
        id = ParticipantId(f"p{next(self.world.ids)}")
        member = Participant(id, Identity(identity), identity, {}, self.sharing.view.clock(room) + 1)
        self.rooms.setdefault(room, {})[id] = member
        self.sharing.change(room, {id: member}, self.world.now)
        return member

    def leave(self, room: RoomName, id: ParticipantId) -> None:
        """Somebody goes."""
        del self.rooms[room][id]
        self.sharing.change(room, {id: None}, self.world.now)
        if not self.rooms[room]:
            del self.rooms[room]
            self._set(room, self.settings.get(room, RoomSettings()).emptied())

    def rename(self, room: RoomName, id: ParticipantId, name: str) -> None:
        """Something about somebody changes."""
        self.rooms[room][id] = replace(self.rooms[room][id], name=name)
        self.sharing.change(room, {id: self.rooms[room][id]}, self.world.now)

    def write(self, room: RoomName, change: Callable[[RoomSettings, str, int], RoomSettings]) -> None:
        """A moderator changes what holds in a room."""
        settings = change(self.settings.get(room, RoomSettings()), self.node, self.clock)
        contexts = [*settings.open.context.values(), *settings.lasting.context.values()]
        self.clock = max([self.clock, *contexts])
        self._set(room, settings)

    def _set(self, room: RoomName, settings: RoomSettings) -> None:
        self.settings[room] = settings
        self.sharing.set_settings(room, settings, self.world.now)

    # ------------------------------------------------------------------------------------------- what it sees

    def roster(self, room: RoomName) -> dict[str, str]:
        """Everybody in a room: id -> name, with all that is known here."""
        known = {member.id: member.name for member in self.rooms.get(room, {}).values()}
        return known | {one.participant.id: one.participant.name for one in self.sharing.view.elsewhere(room)}

    # ------------------------------------------------------------------------------------------- how it runs

    def step(self) -> None:
        """Take in the time, and send what is to be sent."""
        self.sharing.tick(self.world.now)
        self.pump()

    def pump(self) -> None:
        """Send what is to be sent, and take notice of what happened."""
        for event in self.sharing.take_events():
            match event:
                case ModeMoved(change):
                    self.changes.append((self.world.now, change.mode))
                case SettingsHeard(room, settings):
                    if room in self.rooms or self.settings.get(room):
                        merged = self.settings.get(room, RoomSettings()).merge(settings)
                        if merged != self.settings.get(room):
                            self._set(room, merged)
                case Heard(_, payload):
                    self.heard.append(payload)
                case RoomChanged() | Renamed():
                    pass
        for call in self.sharing.take_calls(self.world.now):
            self.world.send(self, call)


class World:
    """The store, the instances, the network and the time."""

    def __init__(self, seed: int, names: str = "abc") -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 1000.0
        self.ids = itertools.count(1)
        self.store = MemoryStore()
        self.branches: Counter[str] = Counter()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.instances = {name: Instance(name, self) for name in names}
        for instance in self.instances.values():
            self._start(instance)

    def alive(self) -> Iterator[Instance]:
        """The instances that run."""
        return (instance for instance in self.instances.values() if instance.alive)

    def restart(self, name: str, link: Link | None = None) -> Instance:
        """An instance dies without a word, and another one of its name starts."""
        old = self.instances[name]
        old.alive = False
        self.count(old)
        fresh = self.instances[name] = Instance(name, self, link=link or Link())
        self._start(fresh)
        return fresh

    def count(self, instance: Instance) -> None:
        """Note which branches an instance came through."""
        self.branches.update(instance.sharing.counts)
        self.branches["late"] += instance.sharing.guard.counts["late"]

    def after(self, delay: float, act: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._agenda, (self.now + delay, next(self.ids), act))

    def run(self, seconds: float) -> None:
        """Let time go on."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
        self.now = end

    # --------------------------------------------------------------------------------------------------- the network

    def send(self, instance: Instance, call: Call) -> None:
        """Carry a request to the store and its answer back, if the network lets it."""
        link, chance = instance.link, self.random.random
        deadline = 0.6 if isinstance(call.request, Announce) else 1.0

        def fail(reason: str) -> Callable[[], None]:
            return lambda: instance.alive and self._fail(instance, call, reason)  # type: ignore[func-returns-value]

        if not link.up:
            self.after(0.001, fail("refused"))
            return
        there, back = self.random.uniform(*link.delay), self.random.uniform(*link.delay)
        if chance() < link.loss:
            self.after(deadline, fail("timeout"))
            return
        lost_on_its_way_back = link.hangs or chance() < link.loss or there + back > deadline

        def arrive() -> None:
            reply = self.store.execute(call.request, self.now)
            if not lost_on_its_way_back:
                self.after(back, lambda: instance.alive and self._answer(instance, call, reply))

        self.after(there, arrive)
        if chance() < link.repeat and isinstance(call.request, WriteSlice):
            self.after(self.random.uniform(0.5, 20.0), lambda: self._land_late(call))
        if lost_on_its_way_back:
            self.after(deadline, fail("timeout"))

    def _land_late(self, call: Call) -> None:
        before = self.store.rooms.get(call.request.room, {}).get(call.request.node)  # type: ignore[union-attr]
        version = None if before is None else before.version
        self.store.execute(call.request, self.now)
        assert version is None or self.store.rooms[call.request.room][call.request.node].version >= version  # type: ignore[union-attr]

    def _answer(self, instance: Instance, call: Call, reply: Reply) -> None:
        instance.sharing.answered(call.id, reply, self.now)
        instance.pump()

    def _fail(self, instance: Instance, call: Call, reason: str) -> None:
        instance.sharing.failed(call.id, StoreError(reason), self.now)
        instance.pump()

    def _start(self, instance: Instance) -> None:
        def tick() -> None:
            if instance.alive:
                instance.step()
                self.after(TICK, tick)

        def read() -> None:
            if instance.alive:
                if instance.sharing.listens and instance.link.up and not instance.link.hangs:
                    instance.sharing.received(self.store.take(instance.node), self.now)
                    instance.pump()
                self.after(READ_EVERY, read)

        self.after(self.random.uniform(0, TICK), tick)
        self.after(self.random.uniform(0, READ_EVERY), read)


def locked(settings: RoomSettings, writer: str, floor: int) -> RoomSettings:
    """A lock."""
    return settings.put_open("flag", "locked", ON, writer, floor)
