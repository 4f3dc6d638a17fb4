"""The rooms this instance owns, in memory: the truth about its own clients, whatever else is down.

A room exists while somebody is in it. Every verb that names somebody unknown raises KeyError, since only the
owner of a participant may speak about it and the owner knows whom it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .model import Identity, Participant, ParticipantId, Room, RoomName, Track, TrackId


class OwnRooms:
    """Members and tracks of every room this instance hosts, with the look-ups that signalling needs."""

    def __init__(self) -> None:
        self._rooms: dict[RoomName, dict[ParticipantId, Participant]] = {}
        self._room_of: dict[ParticipantId, RoomName] = {}
        self._by_identity: dict[tuple[RoomName, Identity], ParticipantId] = {}
        self._owner: dict[TrackId, ParticipantId] = {}
        self._changed: dict[RoomName, dict[ParticipantId, None]] = {}

    # ------------------------------------------------------------------------------------------------ questions

    def __len__(self) -> int:
        return len(self._rooms)

    def __contains__(self, name: RoomName) -> bool:
        return name in self._rooms

    def names(self) -> Iterable[RoomName]:
        """The rooms with somebody in them."""
        return self._rooms.keys()

    def size(self, name: RoomName) -> int:
        """How many are in the room; 0 for a room that does not exist."""
        return len(self._rooms.get(name, ()))

    def room(self, name: RoomName) -> Room:
        """The room as it is now; a room that does not exist is empty."""
        return Room(name, tuple(self._rooms.get(name, {}).values()))

    def participant(self, participant: ParticipantId) -> Participant:
        """A member by id. Raises KeyError."""
        return self._rooms[self._room_of[participant]][participant]

    def by_identity(self, room: RoomName, identity: Identity) -> ParticipantId | None:
        """The session that `identity` has in `room` now."""
        return self._by_identity.get((room, identity))

    def owner_of(self, track: TrackId) -> ParticipantId | None:
        """Who publishes `track`."""
        return self._owner.get(track)

    def track_in(self, room: RoomName, track: TrackId) -> Track | None:
        """`track` if somebody in `room` publishes it."""
        owner = self._owner.get(track)
        if owner is None or self._room_of[owner] != room:
            return None
        return self._rooms[room][owner].tracks[track]

    def take_changed(self) -> dict[RoomName, dict[ParticipantId, Participant | None]]:
        """Who is not as at the last call, by room; None: gone."""
        changed, self._changed = self._changed, {}
        return {
            room: {id: self._rooms.get(room, {}).get(id) for id in participants}
            for room, participants in changed.items()
        }

    # -------------------------------------------------------------------------------------------------- changes

    def enter(self, room: RoomName, participant: Participant) -> None:
        """Add a member without tracks; the first one makes the room."""
        self._rooms.setdefault(room, {})[participant.id] = participant
        self._note(room, participant.id)
        self._room_of[participant.id] = room
        self._by_identity[(room, participant.identity)] = participant.id

    def rejoin(self, participant: ParticipantId, joined: int) -> None:
        """Say that a member came at another logical time. Raises KeyError."""
        self._put(replace(self.participant(participant), joined=joined))

    def leave(self, participant: ParticipantId) -> Participant:
        """Take a member and all its tracks out; the last one ends the room. Raises KeyError."""
        name = self._room_of.pop(participant)
        members = self._rooms[name]
        gone = members.pop(participant)
        self._note(name, participant)
        for track in gone.tracks:
            del self._owner[track]
        if self._by_identity.get((name, gone.identity)) == participant:
            del self._by_identity[(name, gone.identity)]
        if not members:
            del self._rooms[name]
        return gone

    def publish(self, participant: ParticipantId, track: Track) -> None:
        """Add a track of a member, or replace what is known of it. Raises KeyError."""
        member = self.participant(participant)
        self._owner[track.id] = participant
        self._put(replace(member, tracks={**member.tracks, track.id: track}))

    def unpublish(self, participant: ParticipantId, track: TrackId) -> None:
        """Take a member's track away. Raises KeyError."""
        member = self.participant(participant)
        left = {id: known for id, known in member.tracks.items() if id != track}
        del self._owner[track]
        self._put(replace(member, tracks=left))

    def set_muted(self, track: TrackId, muted: bool) -> bool:
        """Mark a track muted or not; False if it was so already. Raises KeyError."""
        member = self.participant(self._owner[track])
        known = member.tracks[track]
        if known.muted == muted:
            return False
        self._put(replace(member, tracks={**member.tracks, track: replace(known, muted=muted)}))
        return True

    def _put(self, participant: Participant) -> None:
        room = self._room_of[participant.id]
        self._rooms[room][participant.id] = participant
        self._note(room, participant.id)

    def _note(self, room: RoomName, participant: ParticipantId) -> None:
        self._changed.setdefault(room, {})[participant] = None
