"""The view: who else is in the rooms of this instance, as far as anybody told us, and where each room is at home."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from . import placement
from .membership import Membership
from .model import NodeId, Participant, ParticipantId, RoomName
from .remote import Fresh, RemoteRoom, Taken
from .settings import RoomSettings
from .slices import NO_SETTINGS, Fields, Version
from .store import Listed
from .timing import Timing
from .wire import Changed, NodeRecord


@dataclass(frozen=True, slots=True)
class Remote:
    """A participant of another instance; `unknown`: nobody knows just now whether it is still there."""

    participant: Participant
    node: NodeId
    unknown: bool


@dataclass(slots=True)
class View:
    """What others say about rooms. `is_connected` tells whether what they say arrives.

    Nothing here looks at all rooms in turn, except when an instance is gone.
    """

    members: Membership
    is_connected: Callable[[], bool]
    timing: Timing
    rooms: dict[RoomName, RemoteRoom] = field(default_factory=dict)
    own_members: dict[RoomName, Mapping[ParticipantId, Participant]] = field(default_factory=dict)
    _behind: dict[RoomName, None] = field(default_factory=dict)  # to be fetched, those first that wait longest
    _fetching: set[RoomName] = field(default_factory=set)
    _doubtful: set[RoomName] = field(default_factory=set)
    _unheard: dict[RoomName, bool] = field(default_factory=dict)  # ours have just come in; whether all is listed since

    def room(self, room: RoomName) -> RemoteRoom:
        """What others say about a room of ours."""
        found = self.rooms.get(room)
        if found is None:
            found = self.rooms[room] = RemoteRoom(room)
        return found

    def forget(self, room: RoomName) -> None:
        """We have nobody in this room any more."""
        self.rooms.pop(room, None)
        self.own_members.pop(room, None)
        self._behind.pop(room, None)
        self._fetching.discard(room)
        self._doubtful.discard(room)
        self._unheard.pop(room, None)

    def came(self, room: RoomName) -> None:
        """The first of ours came into this room: until all is read that the others had said, we know nothing of it."""
        self._unheard[room] = False

    def handed_on(self, room: RoomName) -> None:
        """What was read of this room so far is told."""
        if self._unheard.get(room) and room not in self._behind and room not in self._fetching:
            del self._unheard[room]

    def is_unheard(self, room: RoomName) -> bool:
        """Whether the others may have said something before the first of ours came in that nobody here knows."""
        return room in self._unheard

    # --------------------------------------------------------------------------------------------- what others say

    def heard(self, note: Changed) -> Taken:
        """A note told of a change. Raises WireError."""
        remote = self.room(note.room)
        outcome = remote.heard(note)
        self._sort(remote)
        return outcome

    def listed(
        self, room: RoomName, listing: Mapping[NodeId, Listed], now: float, *, asked: float, all_ours: bool
    ) -> None:
        """The store, `asked` then, listed what slices of a room there are; `all_ours`: it had all of ours."""
        if all_ours and room in self._unheard:
            self._unheard[room] = True
        remote = self.room(room)
        remote.listed(listing, self.members.me, now, self.timing.outdated, self.members.keeps_up)
        remote.doubt(listing, asked, now, self.timing.unlisted)
        self._sort(remote)

    def fetched(
        self, room: RoomName, found: Mapping[NodeId, tuple[Version, Fields]], asked: Collection[NodeId]
    ) -> Fresh:
        """Slices were read; returns whose are new, and why others could not be read."""
        self._fetching.discard(room)
        remote = self.rooms.get(room)
        if remote is None:
            return set(), []
        fresh = remote.fetched(found, asked)
        self._sort(remote)
        return fresh

    def not_fetched(self, room: RoomName) -> None:
        """Slices could not be read."""
        self._fetching.discard(room)
        if room in self.rooms:
            self._sort(self.rooms[room])

    def not_fetching(self) -> None:
        """Whatever was asked for will not come."""
        for room in list(self._fetching):
            self.not_fetched(room)

    def _sort(self, remote: RemoteRoom) -> None:
        if remote.behind and remote.room not in self._fetching:
            self._behind.setdefault(remote.room)
        else:
            self._behind.pop(remote.room, None)
        if remote.is_doubtful:
            self._doubtful.add(remote.room)
        else:
            self._doubtful.discard(remote.room)

    # ------------------------------------------------------------------------------------------------- questions

    def elsewhere(self, room: RoomName) -> Iterator[Remote]:
        """The participants of other instances in a room of ours."""
        known = self.rooms.get(room)
        if known is None:
            return
        connected = self.is_connected()
        for node, one in known.slices.items():
            unknown = not connected or not self.members.is_heard(node)
            for participant in one.members.values():
                yield Remote(participant, node, unknown)

    def settings(self, room: RoomName) -> Iterator[RoomSettings]:
        """What others say that holds in a room of ours."""
        known = self.rooms.get(room)
        return (one.settings for one in known.slices.values() if one.settings != NO_SETTINGS) if known else iter(())

    def has_flags(self, room: RoomName, node: NodeId, flags: Collection[str]) -> bool:
        """Whether an instance is known to know that these flags are on."""
        known = self.rooms.get(room)
        theirs = None if known is None else known.slices.get(node)
        return theirs is not None and all(theirs.settings.flag(name) for name in flags)

    def clock(self, room: RoomName) -> int:
        """The largest logical time at which somebody joined a room, as far as we know."""
        ours = (member.joined for member in self.own_members.get(room, {}).values())
        theirs = (remote.participant.joined for remote in self.elsewhere(room))
        return max((*ours, *theirs), default=0)

    def interested(self, room: RoomName) -> list[NodeId]:
        """The instances that want to hear of a room: they have somebody in it, or know what holds there."""
        known = self.rooms.get(room)
        if known is None:
            return []
        saying = [node for node, one in known.slices.items() if one.members or one.settings]
        return [node for node in {*saying, *known.behind} if node in self.members or node in known.behind]

    def home(self, room: RoomName, me: NodeRecord) -> NodeRecord:
        """Where a room is at home. While the store is away, by what was known last."""
        others = list(self.members.nodes.values())
        if self.is_connected():
            others = [record for record in others if record.node not in self.members.missing]
        known = self.rooms.get(room)
        hosts = {} if known is None else {node: len(one.members) for node, one in known.slices.items()}
        return placement.home(room, me, others, {**hosts, me.node: len(self.own_members.get(room, ()))})

    # ------------------------------------------------------------------------------------------------ what to do

    @property
    def is_behind(self) -> bool:
        """Whether somebody said more than we know."""
        return bool(self._behind or self._fetching)

    def take_behind(self) -> tuple[RoomName, tuple[NodeId, ...]] | None:
        """A room of which slices are to be fetched now, and whose; None if there is none, or enough is under way."""
        if not self._behind or len(self._fetching) >= self.timing.max_fetches:
            return None
        room = next(iter(self._behind))
        del self._behind[room]
        self._fetching.add(room)
        return room, self.rooms[room].ask()

    def forget_node(self, node: NodeId) -> list[RoomName]:
        """Another process has this id now: its versions have nothing to do with what we know. Returns the rooms in
        which that changed anything."""
        changed = []
        for room, remote in self.rooms.items():
            if remote.forget(node):
                changed.append(room)
            self._sort(remote)
        return changed

    def bury(self, now: float, *, everywhere: bool) -> list[RoomName]:
        """Take the members of instances away that are gone or do not keep up what they said, from the rooms where
        there is doubt or from all; returns the rooms in which that changed anything."""
        buried = []
        for room in list(self.rooms if everywhere else self._doubtful):
            remote = self.rooms[room]
            if remote.bury(lambda node: node not in self.members, now, self.timing.unlisted):
                buried.append(room)
            self._sort(remote)
        return buried
