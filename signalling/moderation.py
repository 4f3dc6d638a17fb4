"""What a moderator may do: mute, remove, ban, lock, change permissions, and open the door to those who wait.

Each verb is pure and says nothing about who may call it: a member's request is checked in moderators.py, the operator's
in the admin API, which calls them through `Server.moderate`. `by` is the participant id of the moderator, or a
word for somebody outside the room, such as `admin`; it is told to those concerned and written to the log. A verb that
raises Refused has changed nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from state.model import Identity, ParticipantId, RoomName, Source, TrackId

from .conference import Conference


def mute(conference: Conference, room: RoomName, participant: ParticipantId, track: TrackId | None, by: str) -> None:
    """Forward nothing of a track (None: of all tracks) until its owner unmutes it.

    Raises Refused: `unknown_participant`, `unknown_track`.
    """
    raise NotImplementedError


def remove(conference: Conference, room: RoomName, participant: ParticipantId, by: str, reason: str = "") -> None:
    """Send somebody out; no token that was issued before lets this identity in again. `reason` is told to it.

    Raises Refused: `unknown_participant`.
    """
    raise NotImplementedError


def ban(conference: Conference, room: RoomName, identity: Identity, by: str, reason: str = "") -> None:
    """Let an identity in no more until `unban`; if it is in the room or waits, it is sent out. Never refused."""
    raise NotImplementedError


def unban(conference: Conference, room: RoomName, identity: Identity, by: str) -> None:
    """Let a banned identity in again. Raises Refused: `not_banned`."""
    raise NotImplementedError


def lock(conference: Conference, room: RoomName, by: str) -> None:
    """Let nobody new in but moderators. Raises Refused: `unknown_room` while nobody is in it."""
    raise NotImplementedError


def unlock(conference: Conference, room: RoomName, by: str) -> None:
    """End a lock. Raises Refused: `unknown_room`."""
    raise NotImplementedError


def set_waiting_room(conference: Conference, room: RoomName, on: bool, by: str) -> None:
    """Have everybody new but moderators wait until admitted, or no longer. Raises Refused: `unknown_room`."""
    raise NotImplementedError


def set_permissions(
    conference: Conference,
    room: RoomName,
    participant: ParticipantId,
    by: str,
    *,
    publish: Collection[Source] | None = None,
    subscribe: bool | None = None,
    chat: bool | None = None,
    admin: bool | None = None,
) -> None:
    """Change what a member may do, at once; None leaves it as it is. Raises Refused: `unknown_participant`."""
    raise NotImplementedError


def admit(conference: Conference, room: RoomName, participant: ParticipantId, by: str) -> None:
    """Let somebody in who waits. Raises Refused: `unknown_participant`, `room_full`, `too_many_rooms`."""
    raise NotImplementedError


def deny(conference: Conference, room: RoomName, participant: ParticipantId, by: str) -> None:
    """Send somebody away who waits. Raises Refused: `unknown_participant`."""
    raise NotImplementedError
