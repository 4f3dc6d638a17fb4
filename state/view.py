"""The view: who else is in the rooms of this instance, as far as anybody told us, and where each room is at home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from . import placement
from .membership import Membership
from .model import NodeId, Participant, ParticipantId, RoomName
from .remote import RemoteRoom
from .wire import NodeRecord


@dataclass(frozen=True, slots=True)
class Remote:
    """A participant of another instance; `unknown`: nobody knows just now whether it is still there."""

    participant: Participant
    node: NodeId
    unknown: bool


@dataclass(slots=True)
class View:
    """What others say about rooms. `is_connected` tells whether what they say arrives."""

    members: Membership
    is_connected: Callable[[], bool]
    rooms: dict[RoomName, RemoteRoom] = field(default_factory=dict)
    own_members: dict[RoomName, Mapping[ParticipantId, Participant]] = field(default_factory=dict)

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

    # ------------------------------------------------------------------------------------------------- questions

    def elsewhere(self, room: RoomName) -> Iterator[Remote]:
        """The participants of other instances in a room of ours."""
        known = self.rooms.get(room)
        if known is None:
            return
        connected = self.is_connected()
        for node, one in known.slices.items():
            unknown = not connected or node in self.members.missing
            for participant in one.members.values():
                yield Remote(participant, node, unknown)

    def clock(self, room: RoomName) -> int:
        """The largest Lamport time at which somebody joined a room, as far as we know."""
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
        return any(remote.behind or remote.fetching for remote in self.rooms.values())

    def take_behind(self) -> Iterator[tuple[RoomName, RemoteRoom]]:
        """The rooms of which slices are to be fetched."""
        return ((room, remote) for room, remote in list(self.rooms.items()) if remote.behind and not remote.fetching)

    def bury(self, now: float, patience: float) -> list[RoomName]:
        """Take the members of instances away that are gone; returns the rooms in which that changed anything."""
        return [
            room
            for room, remote in self.rooms.items()
            if remote.bury(lambda node: node not in self.members, now, patience)
        ]
