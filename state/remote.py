"""What other instances say about one room, and of whom we know that they have said more.

A change is taken only on top of the version that it was made from. One that is older is stale; one that is newer
tells of a gap, and the slice is fetched whole. Lists of versions, which come with every write and renewal of ours,
tell of changes whose notes were lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .model import NodeId, RoomName
from .slices import NOTHING, Fields, Slice, Version, apply, from_fields
from .store import Listed
from .wire import Changed

Heard = Literal["applied", "stale", "gap"]


@dataclass(slots=True)
class RemoteRoom:
    """The slices of others. Times are seconds on a monotonic clock."""

    room: RoomName
    slices: dict[NodeId, Slice] = field(default_factory=dict)
    behind: set[NodeId] = field(default_factory=set)  # they have said more than we know
    fetching: bool = False
    _unlisted: dict[NodeId, float] = field(default_factory=dict)  # since when a slice that we know is not in the store

    def version(self, node: NodeId) -> Version:
        """What we know of an instance."""
        known = self.slices.get(node)
        return NOTHING if known is None else known.version

    def heard(self, note: Changed) -> Heard:
        """A note told of a change. Raises WireError."""
        version, known = Version(note.epoch, note.seq), self.version(note.node)
        if version <= known:
            return "stale"
        base = None if note.base is None else Version(note.epoch, note.base)
        if note.fields is None or (base is not None and base != known):
            self.behind.add(note.node)
            return "gap"
        self._take(note.node, apply(Slice() if base is None else self.slices[note.node], note.fields, version))
        return "applied"

    def listed(self, listing: Mapping[NodeId, Listed], me: NodeId, now: float) -> None:
        """The store listed what slices there are."""
        for node, found in listing.items():
            if node != me and found.version > self.version(node):
                self.behind.add(node)
        known = [node for node, one in self.slices.items() if one.members]
        self._unlisted = {node: self._unlisted.get(node, now) for node in known if node not in listing}

    def fetched(self, found: Mapping[NodeId, tuple[Version, Fields]], asked: Collection[NodeId]) -> set[NodeId]:
        """Slices were read; returns whose are new. Raises WireError, having taken what could be read before."""
        self.behind -= set(asked)
        fresh = set()
        for node, (version, fields) in found.items():
            if version > self.version(node):
                self._take(node, from_fields(fields, version))
                fresh.add(node)
        return fresh

    def bury(self, gone: Callable[[NodeId], bool], now: float, patience: float) -> bool:
        """Take the members away of instances that are gone, or that for `patience` seconds have not been listed.

        Their version stays known: the store may list a slice for longer than its instance lives.
        """
        buried = False
        for node, known in self.slices.items():
            unlisted = self._unlisted.get(node)
            if known.members and (gone(node) or (unlisted is not None and now - unlisted >= patience)):
                self.slices[node] = Slice(known.version, {}, known.settings)
                buried = True
        return buried

    def _take(self, node: NodeId, fresh: Slice) -> None:
        self.slices[node] = fresh
        self.behind.discard(node)
        self._unlisted.pop(node, None)
