"""Conferences of several instances that share rooms through a store in memory, in virtual time."""

from __future__ import annotations

import random

from signalling.cluster import Cluster
from signalling.events import NewsHeard
from state.guard import Guard, Limits
from state.model import NodeId
from state.modes import Modes
from state.sharing import Sharing
from state.store import StoreError
from state.wire import NodeRecord

from .memory_store import MemoryStore
from .playbook import Stage

STEP = 0.1


class Instance(Stage):
    """A stage whose conference shares its rooms."""

    def __init__(self, name: str, neighbours: Neighbours, **rules: object) -> None:
        super().__init__(**rules)
        self.conference.random = random.Random(f"people of {name}").randbytes  # their ids are unlike those elsewhere
        self.neighbours = neighbours
        self.name = name
        self.url = f"ws://{name}/ws"
        luck = random.Random(name)
        self.sharing = Sharing(
            NodeRecord(node=NodeId(name), nonce="", url=self.url),
            guard=lambda listener: Guard("redis", Limits(), listener, luck.random, 0.0),
            modes=Modes(0.0),
            random=luck.randbytes,
            now=0.0,
        )
        self.conference.cluster = Cluster(self.sharing)

    def shares(self) -> None:
        """Hand on what changed, ask the store, and hear what is new."""
        while True:
            conference = self.conference
            settings = {room: conference.doors.of(room) for room in conference.doors.take_changed()}
            conference.cluster.share(conference.rooms.take_changed(), settings, self.now)
            requests, news = self.sharing.take_requests(self.now), self.sharing.take_events()
            for pending in requests:
                if self.neighbours.away:
                    self.sharing.failed(pending.id, StoreError("refused"), self.now)
                else:
                    self.sharing.answered(
                        pending.id, self.neighbours.store.execute(pending.request, self.now), self.now
                    )
            if not self.neighbours.away:
                self.sharing.received(self.neighbours.store.take(self.sharing.record.node), self.now)
            for one in news:
                self.happens(NewsHeard(one))
            if not requests and not news:
                return


class Neighbours:
    """Some instances and the store where they meet; `away` while the store is."""

    def __init__(self, *names: str, **rules: object) -> None:
        self.store = MemoryStore()
        self.away = False
        self.instances = {name: Instance(name, self, **rules) for name in names}
        self.passes(4.0)

    def __getitem__(self, name: str) -> Instance:
        return self.instances[name]

    def passes(self, seconds: float) -> None:
        """Let time go on everywhere."""
        for _ in range(round(seconds / STEP)):
            for instance in self.instances.values():
                instance.passes(STEP)
                instance.sharing.tick(instance.now)
            for _ in range(3):  # what one says, another one hears, and answers
                for instance in self.instances.values():
                    instance.shares()
