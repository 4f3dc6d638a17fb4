"""What other instances say about one room, and of whom we know that they have said more.

Only an instance itself writes its slice, and each version that it writes is larger than the one before. So of two
versions of a slice the larger is all there is to know, in whatever order and however often they arrive: a join of a
semilattice, without clocks and without tombstones.

A change is taken only on top of the version that it was made from. One that is older is stale; one that is newer
tells of a gap, and the slice is fetched whole. Lists of versions, which come with every write and renewal of ours,
tell of changes whose notes were lost. Who was told to have said more than we know stays *behind* until we know that
much, or have asked since: what is told while a fetch is under way may be newer than what that brings.

A slice that its instance does not keep up, because the store lost it or nobody has renewed it for long, loses its
members. What it said of the room goes on to count only as far as it lasts. Such a slice is *stripped*: its version is
still known, so that nothing older comes back, but it is no base for changes, and is read again if it is kept up after
all.

An instance renews what it said last. If it renews a version that is older than what we know of it, and goes on to do
so, then somebody else spoke in its name, and what the store has is read instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, KeysView, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .model import NodeId, RoomName
from .slices import NOTHING, Fields, Slice, Version, apply, from_fields
from .store import Listed
from .wire import Changed, WireError

Taken = Literal["applied", "stale", "gap"]
Fresh = tuple[set[NodeId], list[str]]


@dataclass(slots=True)
class RemoteRoom:
    """The slices of others. Times are seconds on a monotonic clock, ages seconds."""

    room: RoomName
    slices: dict[NodeId, Slice] = field(default_factory=dict)
    _behind: dict[NodeId, Version] = field(default_factory=dict)  # the newest that was told of each
    _asked: dict[NodeId, Version] = field(default_factory=dict)  # likewise, when we last asked
    _stripped: set[NodeId] = field(default_factory=set)
    _outdated: set[NodeId] = field(default_factory=set)  # stored, but nobody renews them
    _unlisted: dict[NodeId, float] = field(default_factory=dict)  # since when a slice with members is not kept up
    _ahead: dict[NodeId, float] = field(default_factory=dict)  # since when we know something newer than the store
    _doubted: set[NodeId] = field(default_factory=set)  # what we know was said by somebody else

    def version(self, node: NodeId) -> Version:
        """What we know of an instance."""
        known = self.slices.get(node)
        return NOTHING if known is None else known.version

    @property
    def behind(self) -> KeysView[NodeId]:
        """Who has said more than we know."""
        return self._behind.keys()

    @property
    def is_doubtful(self) -> bool:
        """Whether a slice with members is not kept up."""
        return bool(self._unlisted)

    def heard(self, note: Changed) -> Taken:
        """A note told of a change. Raises WireError."""
        version, known = Version(note.epoch, note.seq), self.version(note.node)
        if version <= known:
            return "stale"
        base = None if note.base is None else Version(note.epoch, note.base)
        usable = base is None or (base == known and note.node in self.slices and note.node not in self._stripped)
        if note.fields is None or not usable:
            self._told(note.node, version)
            return "gap"
        self._take(note.node, apply(Slice() if base is None else self.slices[note.node], note.fields, version))
        return "applied"

    def listed(
        self,
        listing: Mapping[NodeId, Listed],
        me: NodeId,
        now: float,
        outdated: float,
        keeps_up: Callable[[NodeId], bool],
    ) -> None:
        """The store listed what slices there are. One older than `outdated` is one that nobody renews.

        `keeps_up` tells of which instances it may be expected; of others it is no news if they do not.
        """
        self._outdated = {node for node, found in listing.items() if found.age > outdated}
        for node, found in listing.items():
            again = node in self._stripped and node not in self._outdated and keeps_up(node)
            again = again and found.version == self.version(node)
            if node != me and (again or found.version > self.version(node)):
                self._told(node, found.version)
        for node in [node for node, one in self.slices.items() if not one.members and node not in listing]:
            if not keeps_up(node):
                self.forget(node)  # it is over, and nothing of it is left that could come back
        lost = [
            node
            for node, one in self.slices.items()
            if one.members and (node not in listing or node in self._outdated) and keeps_up(node)
        ]
        self._unlisted = {node: self._unlisted.get(node, now) for node in lost}

    def doubt(self, listing: Mapping[NodeId, Listed], asked: float, now: float, patience: float) -> None:
        """The store, `asked` then, listed what slices there are: see who renewed less than what we know of it,
        `patience` seconds after we knew it."""
        older = {node: found for node, found in listing.items() if found.version < self.version(node)}
        self._ahead = {node: self._ahead.get(node, now) for node in older}
        for node, found in older.items():
            if asked - found.age >= self._ahead[node] + patience:
                self._doubted.add(node)
                self._told(node, found.version)

    def ask(self) -> tuple[NodeId, ...]:
        """Whose slices are to be fetched now."""
        self._asked = dict(self._behind)
        return tuple(self._behind)

    def fetched(self, found: Mapping[NodeId, tuple[Version, Fields]], asked: Collection[NodeId]) -> Fresh:
        """Slices were read; returns whose are new, and why others could not be read."""
        fresh, unreadable = set(), []
        for node, (version, fields) in found.items():
            again = node in self._stripped and node not in self._outdated and version == self.version(node)
            again = again or node in self._doubted
            if not again and version <= self.version(node):
                continue
            try:
                read = from_fields(fields, version)
            except WireError as error:
                unreadable.append(f"a slice: {error}")
                continue
            self._take(node, read)
            if node in self._outdated and (read.members or read.settings.open):
                self._strip(node, Slice(version, {}, read.settings.lasting_only()))
            fresh.add(node)
        self._doubted -= set(asked)
        for node in asked:
            self._caught_up(node, max(self.version(node), self._asked.pop(node, NOTHING)))
        return fresh, unreadable

    def forget(self, node: NodeId) -> bool:
        """Know nothing of an instance; returns whether it had members."""
        known = self.slices.pop(node, None)
        for marks in (self._stripped, self._outdated, self._doubted):
            marks.discard(node)
        for times in (self._behind, self._asked, self._unlisted, self._ahead):
            times.pop(node, None)
        return known is not None and bool(known.members)

    def bury(self, is_gone: Callable[[NodeId], bool], now: float, patience: float) -> bool:
        """Take the members away of instances that are gone, or that for `patience` seconds did not keep up theirs.

        Their version stays known: the store may list a slice for longer than its instance lives.
        """
        buried = False
        for node, known in self.slices.items():
            unlisted = self._unlisted.get(node)
            if known.members and (is_gone(node) or (unlisted is not None and now - unlisted >= patience)):
                self._strip(node, Slice(known.version, {}, known.settings.lasting_only()))
                buried = True
        return buried

    def _told(self, node: NodeId, version: Version) -> None:
        self._behind[node] = max(version, self._behind.get(node, NOTHING))

    def _caught_up(self, node: NodeId, version: Version) -> None:
        if self._behind.get(node, NOTHING) <= version:
            self._behind.pop(node, None)

    def _take(self, node: NodeId, fresh: Slice) -> None:
        self.slices[node] = fresh
        self._caught_up(node, fresh.version)
        for marks in (self._stripped, self._doubted):
            marks.discard(node)
        self._unlisted.pop(node, None)
        self._ahead.pop(node, None)

    def _strip(self, node: NodeId, rest: Slice) -> None:
        self.slices[node] = rest
        self._stripped.add(node)
        self._unlisted.pop(node, None)
