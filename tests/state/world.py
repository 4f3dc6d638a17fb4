"""Instances that share rooms over a network that loses, repeats and reorders, in virtual time and from one seed.

What runs is the production code: `Sharing` with its guard, its modes and its settings, and the store's rules. Simulated
are the time, the network between an instance and the store, and what people do.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from state.guard import Guard, Limits, Transition
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.modes import Mode, Modes
from state.news import Heard, ModeMoved, RoomChanged, SettingsHeard
from state.pending import Pending
from state.settings import ON, RoomSettings
from state.sharing import DEFAULT_TIMING, Sharing
from state.store import Announce, FetchSlices, Reply, Request, StoreError
from state.timing import Timing
from state.wire import NodeRecord
from tests.state.promises import Promises
from tests.support.memory_store import MemoryStore

TICK = 0.1
LIMITS = Limits()


@dataclass
class Link:
    """The way from an instance to the store: whether it is there, and how bad it is."""

    up: bool = True
    hangs: bool = False  # requests arrive, and their answers do not
    loss: float = 0.0
    repeat: float = 0.0  # requests that arrive once more, a little earlier or much later
    notes_lost: float = 0.0  # batches of notes that are trimmed before they are read
    notes_repeated: float = 0.0  # that are read once more, later
    delay: tuple[float, float] = (0.001, 0.01)


@dataclass
class Instance:
    """An instance with its people, and with what it was told."""

    name: str
    world: World
    id: NodeId | None = None  # one that another instance has as well
    timing: Timing = DEFAULT_TIMING
    sharing: Sharing = field(init=False)
    link: Link = field(default_factory=Link)
    alive: bool = True
    stopped: bool = False
    settings: dict[RoomName, RoomSettings] = field(default_factory=dict)
    rooms: dict[RoomName, dict[ParticipantId, Participant]] = field(default_factory=dict)
    shown: dict[RoomName, dict[ParticipantId, str]] = field(default_factory=dict)  # who else is there, as clients know
    changes: list[tuple[float, Mode]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    clock: int = 0  # the largest counter of its writes
    _missed: list[Callable[[], None]] = field(default_factory=list)  # while it stood still
    _reads: bool = False

    def __post_init__(self) -> None:
        world = self.world

        def guard(listener: Callable[[Transition], None]) -> Guard:
            return Guard("redis", LIMITS, listener, world.random.random, world.now)

        record = NodeRecord(node=NodeId(self.name), nonce="", url=f"ws://{self.name}/ws")
        self.sharing = Sharing(
            record,
            guard=guard,
            modes=Modes(world.now),
            random=world.random.randbytes,
            now=world.now,
            timing=self.timing,
        )
        if self.id is not None:
            self.sharing.set_record(world.now, node=self.id)
            self.sharing.members.me = self.id
        world.after(world.random.uniform(0, TICK), self._tick)

    @property
    def node(self) -> NodeId:
        return self.sharing.record.node

    # ------------------------------------------------------------------------------------------- what people do

    def join(self, room: RoomName, identity: str) -> Participant:
        """Somebody comes in."""
        id = ParticipantId(f"p{next(self.world.ids)}")
        member = Participant(id, Identity(identity), identity, {}, self.sharing.view.clock(room) + 1)
        if room not in self.rooms:  # whoever comes is shown all that is known
            self.rooms[room] = {}
            self.shown[room] = self.elsewhere(room)
        self.rooms[room][id] = member
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
        before = self.settings.get(room, RoomSettings())
        settings = change(before, self.sharing.writer, self.clock)
        self.clock = max([self.clock, *settings.open.context.values(), *settings.lasting.context.values()])
        self.world.promises.decided(before, settings)
        self._set(room, settings)

    def _set(self, room: RoomName, settings: RoomSettings) -> None:
        self.settings[room] = settings
        self.sharing.set_settings(room, settings, self.world.now)
        if room not in self.rooms and not settings:
            del self.settings[room]

    def _hear(self, room: RoomName, heard: RoomSettings) -> None:
        if room in self.rooms or room in self.settings:
            mine = self.settings.get(room, RoomSettings())
            merged = mine.merge(heard)
            self.world.promises.merged(mine, heard, merged)
            if merged != mine:
                self._set(room, merged)

    # ------------------------------------------------------------------------------------------- what it sees

    def elsewhere(self, room: RoomName) -> dict[ParticipantId, str]:
        """Everybody who is in a room through other instances: id -> name."""
        return {one.participant.id: one.participant.name for one in self.sharing.view.elsewhere(room)}

    def roster(self, room: RoomName) -> dict[ParticipantId, str]:
        """Everybody in a room: id -> name, with all that is known here."""
        return {member.id: member.name for member in self.rooms.get(room, {}).values()} | self.elsewhere(room)

    # ------------------------------------------------------------------------------------------- how it runs

    def pump(self) -> None:
        """Send what is to be sent, and take notice of what happened."""
        sharing = self.sharing
        for event in sharing.take_events():
            match event:
                case ModeMoved(change, rooms):
                    self.changes.append((self.world.now, change.mode))
                    self.world.promises.moved(self.name, change)
                    for room in rooms:
                        self.shown[room] = self.elsewhere(room)
                case RoomChanged(room):
                    self.shown[room] = self.elsewhere(room)
                case SettingsHeard(room, settings):
                    self._hear(room, settings)
                case Heard(_, payload):
                    self.heard.append(payload)
        for pending in sharing.take_requests(self.world.now):
            self.world.send(self, pending)

    def take_in(self, act: Callable[[], None]) -> None:
        """Something arrives."""
        if self.stopped:
            self._missed.append(act)
        elif self.alive:
            act()
            self.pump()
            self.world.promises.seen(self.name, self.sharing.view)

    def go_on(self) -> None:
        """It stood still until now, and all that came for it meanwhile comes at once."""
        self.stopped = False
        missed, self._missed = self._missed, []
        self.world.random.shuffle(missed)
        for act in missed:
            self.take_in(act)

    def _tick(self) -> None:
        if not self.alive:
            return
        self.world.after(TICK, self._tick)
        if self.stopped:
            return
        self.sharing.tick(self.world.now)
        self.pump()
        self._reads = not self._reads
        if self._reads and self.sharing.listens and self.link.up and not self.link.hangs:
            self._read(self.world.store.take(self.node))

    def _read(self, notes: list[str]) -> None:
        if not notes:
            return
        chance = self.world.random.random
        if chance() < self.link.notes_repeated:
            self.world.after(self.world.random.uniform(0.2, 10.0), lambda: self._read(notes))
        if chance() >= self.link.notes_lost:
            self.take_in(lambda: self.sharing.received(notes, self.world.now))


class World:
    """The store, the instances, the network and the time."""

    def __init__(
        self, seed: int, names: str = "abc", *, record: bool = False, timings: Mapping[str, Timing] | None = None
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 1000.0
        self.ids = itertools.count(1)
        self.store = MemoryStore()
        self.promises = Promises()
        self.branches: Counter[str] = Counter()
        self.requests: list[Request | None] = []  # all that the store executed, if they are recorded; None: it lost all
        self._records = record
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        of = timings or {}
        self.instances = {name: Instance(name, self, timing=of.get(name, DEFAULT_TIMING)) for name in names}

    def alive(self) -> Iterator[Instance]:
        """The instances that run."""
        return (instance for instance in self.instances.values() if instance.alive)

    def restart(self, name: str, link: Link | None = None, id: NodeId | None = None) -> Instance:
        """An instance dies without a word, and another one of its name starts, perhaps with somebody else's id."""
        old = self.instances[name]
        old.alive = False
        self.count(old)
        self.promises.forget(name)
        fresh = self.instances[name] = Instance(name, self, id, link=link or Link())
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
        agenda = self._agenda
        while agenda and agenda[0][0] <= end:
            self.now, _, act = heapq.heappop(agenda)
            act()
        self.now = end

    def go_back(self, earlier: MemoryStore) -> None:
        """The store is what it was: a replica that lacks the last writes took over."""
        self.store.leases = dict(earlier.leases)
        self.store.rooms = copy.deepcopy(earlier.rooms)
        self.promises.store_lost_writes()

    def flush(self) -> None:
        """The store loses all."""
        self.store.flush()
        if self._records:
            self.requests.append(None)
        self.promises.store_lost_writes()

    # --------------------------------------------------------------------------------------------------- the network

    def send(self, instance: Instance, pending: Pending) -> None:
        """Carry a request to the store and its answer back, if the network lets it."""
        link, chance, uniform = instance.link, self.random.random, self.random.uniform
        deadline = 0.6 if isinstance(pending.request, Announce) else 1.0
        self.promises.asked(instance.sharing, pending.request)

        def fail(reason: str) -> Callable[[], None]:
            def tell() -> None:
                error = StoreError(reason, ours=instance.stopped)
                instance.take_in(lambda: instance.sharing.failed(pending.id, error, self.now))

            return tell

        if not link.up:
            self.after(0.001, fail("refused"))
            return
        there, back = uniform(*link.delay), uniform(*link.delay)
        if chance() < link.loss:
            self.after(deadline, fail("timeout"))
            return
        lost_on_its_way_back = link.hangs or chance() < link.loss or there + back > deadline

        def answer(reply: Reply) -> None:
            instance.take_in(lambda: instance.sharing.answered(pending.id, reply, self.now))

        def arrive() -> None:
            reply = self.execute(pending.request)
            if not lost_on_its_way_back:
                self.after(back, lambda: answer(reply))

        self.after(there, arrive)
        if chance() < link.repeat and not isinstance(pending.request, FetchSlices | Announce):
            self.after(uniform(0, there) if chance() < 0.3 else uniform(0.5, 20.0), lambda: self._land(pending.request))
        if lost_on_its_way_back:
            self.after(deadline, fail("timeout"))

    def _land(self, request: Request) -> None:
        self.execute(request)

    def execute(self, request: Request) -> Reply:
        """The store takes a request."""
        reply = self.store.execute(request, self.now)
        self.promises.stored(self.store, request, reply)
        if self._records:
            self.requests.append(request)
        return reply


def locked(settings: RoomSettings, writer: str, floor: int) -> RoomSettings:
    """A lock."""
    return settings.put_open("flag", "locked", ON, writer, floor)
