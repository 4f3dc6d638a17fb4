"""How the room model is told in messages, and how many receive sections a room asks a client for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.model import Kind, Participant, Room, Track

from . import messages as m
from .doors import RoomRules
from .tokens import SOURCES, Grant

# Receive sections are asked for in blocks, so that somebody who joins next does not cost everybody an offer, and the
# first offer stays of a moderate size: a very full room grows to its number by `renegotiate`.
SECTION_BLOCK = 4
MOST_FIRST_SECTIONS = 12


def track_info(track: Track) -> m.TrackInfo:
    """A track as messages tell it."""
    return m.TrackInfo(id=track.id, kind=track.kind, source=track.source, muted=track.muted)


def participant_info(participant: Participant, presence: m.Presence = "here") -> m.ParticipantInfo:
    """A member as messages tell it."""
    return m.ParticipantInfo(
        id=participant.id,
        identity=participant.identity,
        name=participant.name,
        tracks=[track_info(track) for track in participant.tracks.values()],
        presence=presence,
    )


def room_snapshot(room: Room, rules: RoomRules, others: Iterable[m.ParticipantInfo] = ()) -> m.RoomSnapshot:
    """A room as messages tell it, with `others` who are at other instances."""
    return m.RoomSnapshot(
        name=room.name,
        participants=[*(participant_info(member) for member in room.participants), *others],
        locked=rules.locked,
        waiting_room=rules.waiting_room,
        metadata=dict(rules.metadata),
    )


def room_updated(rules: RoomRules) -> m.RoomUpdated:
    """What holds for a room as a whole, as messages tell it."""
    return m.RoomUpdated(locked=rules.locked, waiting_room=rules.waiting_room, metadata=dict(rules.metadata))


def permissions(grant: Grant) -> m.Permissions:
    """What somebody may do, as messages tell it."""
    return m.Permissions(
        publish=[source for source in SOURCES if source in grant.publish],
        subscribe=grant.subscribe,
        chat=grant.chat,
        admin=grant.admin,
    )


def slots(mapping: Mapping[str, str | None]) -> list[m.Slot]:
    """A slot map as messages tell it."""
    return [m.Slot(mid=mid, track=track) for mid, track in mapping.items()]


def first_sections(tracks: Iterable[Track]) -> tuple[int, int]:
    """How many audio and video sections the first offer of somebody who wants `tracks` should carry."""
    count: dict[Kind, int] = {"audio": 0, "video": 0}
    for track in tracks:
        count[track.kind] += 1
    return _sections(count["audio"]), _sections(count["video"])


def _sections(wanted: int) -> int:
    blocks = max(1, -(-wanted // SECTION_BLOCK))
    return min(MOST_FIRST_SECTIONS, blocks * SECTION_BLOCK)
