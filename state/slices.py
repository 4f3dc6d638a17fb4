"""Slices: what one instance says about one room, as a value under a version and as the fields that are stored.

A room is a map from instance to slice, and only the instance itself ever writes its slice. own.py tells how it does,
remote.py what others make of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from . import wire
from .model import Participant, ParticipantId
from .settings import RoomSettings

Fields = Mapping[str, str]  # a slice as it is stored: field -> JSON text
Changes = Mapping[str, str | None]  # None: the field is gone
SETTINGS = "settings"
MEMBER = "p:"


class Version(NamedTuple):
    """`epoch` counts the times an instance began anew to share, `seq` its changes of this slice. Larger is newer."""

    epoch: int
    seq: int


NOTHING = Version(0, 0)
NO_SETTINGS = RoomSettings()


@dataclass(frozen=True, slots=True)
class Slice:
    """What an instance says about a room."""

    version: Version = NOTHING
    members: Mapping[ParticipantId, Participant] = field(default_factory=dict)
    settings: RoomSettings = NO_SETTINGS


# -------------------------------------------------------------------------------------------------- as it is stored


def member_field(participant: ParticipantId) -> str:
    """Where a member is kept in a stored slice."""
    return MEMBER + participant


def to_fields(members: Mapping[ParticipantId, Participant], settings: RoomSettings) -> dict[str, str]:
    """A slice as it is stored."""
    fields = {member_field(id): wire.dump_participant(member) for id, member in members.items()}
    if settings != NO_SETTINGS:  # what was taken away must be told, too
        fields[SETTINGS] = wire.dump_settings(settings)
    return fields


def apply(base: Slice, changes: Changes, version: Version) -> Slice:
    """A slice after some of its fields changed; fields of a later form of slices are ignored. Raises WireError."""
    if sum(len(name) + len(text or "") for name, text in changes.items()) > wire.MAX_SLICE:
        raise wire.WireError("it is too large")
    members = dict(base.members)
    settings = base.settings
    for name, text in changes.items():
        if name == SETTINGS:
            settings = RoomSettings() if text is None else wire.parse_settings(text)
        elif name.startswith(MEMBER):
            id = ParticipantId(name.removeprefix(MEMBER))
            if text is None:
                members.pop(id, None)
            else:
                members[id] = wire.parse_participant(text)
    if len(members) > wire.MAX_FIELDS:
        raise wire.WireError(f"{len(members)} members are too many")
    return Slice(version, members, settings)


def from_fields(fields: Fields, version: Version) -> Slice:
    """A stored slice. Raises WireError."""
    if len(fields) > wire.MAX_FIELDS:
        raise wire.WireError(f"{len(fields)} fields are too many")
    return apply(Slice(), fields, version)
