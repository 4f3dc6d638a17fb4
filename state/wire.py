"""How shared state is written down: JSON that a later form may add to, read with types and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from .causal import CausalMap, Dot, Entry
from .model import Identity, Kind, NodeId, Participant, ParticipantId, RoomName, Source, Track, TrackId
from .settings import RoomSettings

MAX_NAME = 1024  # characters of a name that another instance wrote
MAX_COUNT = 2**53  # a counter beyond is not exact in Lua
MAX_VALUE = 2**14  # characters of one value in settings: metadata of 1024 characters, each of them escaped
MAX_ENTRIES = 2**14  # of settings: what moderators decide about a room is at most 2000 of each kind
MAX_PAYLOAD = 2**17  # characters that are said: a chat message of 4096 characters, each of them escaped twice
MAX_FIELDS = 2**13  # of a slice, and so its members, or of a change
MAX_TEXTS: Mapping[str, int] = {"a member": 2**19, "settings": 2**23, "an announcement": 2**15, "a note": 2**18}
MAX_SLICE = 2**24  # characters of all its fields
T = TypeVar("T")

Name = Annotated[str, Meta(max_length=MAX_NAME)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Room = Annotated[RoomName, Meta(max_length=MAX_NAME)]
Node = Annotated[NodeId, Meta(max_length=MAX_NAME)]


class WireError(ValueError):
    """What another instance wrote cannot be read."""


# ------------------------------------------------------------------------------------------- participants, settings


class _Track(Struct, array_like=True):
    id: Name
    kind: Kind
    source: Source
    muted: bool


class _Participant(Struct, omit_defaults=True):
    id: Name
    identity: Name
    name: Name
    joined: Count
    tracks: Annotated[list[_Track], Meta(max_length=64)] = []


class _Entry(Struct, array_like=True):
    counter: Count
    writer: Name
    kind: Name
    name: Name
    value: Annotated[str, Meta(max_length=MAX_VALUE)]


class _CausalMap(Struct):
    entries: Annotated[list[_Entry], Meta(max_length=MAX_ENTRIES)]
    context: Annotated[dict[Name, Count], Meta(max_length=2 * MAX_ENTRIES)]


class _Settings(Struct):
    open: _CausalMap
    lasting: _CausalMap
    incarnation: Name = ""


def dump_participant(participant: Participant) -> str:
    """A member, as JSON."""
    tracks = [_Track(track.id, track.kind, track.source, track.muted) for track in participant.tracks.values()]
    return _dump(_Participant(participant.id, participant.identity, participant.name, participant.joined, tracks))


def parse_participant(text: str) -> Participant:
    """A member. Raises WireError."""
    found = _parse(text, _participants, "a member")
    tracks = (Track(TrackId(track.id), track.kind, track.source, track.muted) for track in found.tracks)
    return Participant(
        ParticipantId(found.id),
        Identity(found.identity),
        found.name,
        {track.id: track for track in tracks},
        found.joined,
    )


def dump_settings(settings: RoomSettings) -> str:
    """Settings, as JSON."""
    return _dump(_Settings(_written(settings.open), _written(settings.lasting), settings.incarnation))


def parse_settings(text: str) -> RoomSettings:
    """Settings. Raises WireError."""
    found = _parse(text, _settings, "settings")
    return RoomSettings(_read(found.open), _read(found.lasting), found.incarnation)


def _written(causal: CausalMap) -> _CausalMap:
    entries = [_Entry(dot.counter, dot.writer, *entry.key, entry.value) for dot, entry in causal.entries.items()]
    return _CausalMap(entries, dict(causal.context))


def _read(found: _CausalMap) -> CausalMap:
    entries = {Dot(one.counter, one.writer): Entry((one.kind, one.name), one.value) for one in found.entries}
    context = dict(found.context)
    for dot in entries:  # whatever is written was seen, even if somebody says otherwise
        context[dot.writer] = max(dot.counter, context.get(dot.writer, 0))
    return CausalMap(entries, context)


# ------------------------------------------------------------------------------------------------- instances, inbox


class NodeRecord(Struct, frozen=True):
    """What an instance says of itself. `url` is where clients reach it, empty if it cannot say."""

    node: Node
    nonce: Name  # drawn by the process: tells two apart that took the same id
    url: Name = ""
    region: Name = ""
    accepting: bool = True  # it takes rooms and participants; not while it is about to end
    started: float = 0.0  # seconds since 1970
    rooms: Count = 0
    participants: Count = 0
    shares: bool = True  # it writes what happens there; not while it waits until the store can be relied on
    clustered: bool = True  # its people were told, if need be, that it hears the others again


def change_record(record: NodeRecord, **changes: object) -> NodeRecord:
    """A record with some fields changed."""
    return msgspec.structs.replace(record, **changes)


class Changed(Struct, frozen=True, tag="changed"):
    """A slice went from `base` to `seq` by `fields`; without fields the change is too large to be told here.

    `base` None: `fields` are the whole slice.
    """

    room: Room
    node: Node
    epoch: Count
    seq: Count
    base: Count | None = None
    fields: Annotated[dict[Name, str | None], Meta(max_length=MAX_FIELDS)] | None = None


class Said(Struct, frozen=True, tag="said"):
    """Something for those in a room, or about them, that is no state; `id` tells a second delivery."""

    room: Room
    node: Node
    id: Name
    payload: Annotated[str, Meta(max_length=MAX_PAYLOAD)]


Note = Changed | Said


def dump_record(record: NodeRecord) -> str:
    """A record, as JSON."""
    return _dump(record)


def parse_record(text: str) -> NodeRecord:
    """A record. Raises WireError."""
    return _parse(text, _records, "an announcement")


def dump_note(note: Note) -> str:
    """A note for an inbox, as JSON."""
    return _dump(note)


def parse_note(text: str) -> Note:
    """A note. Raises WireError."""
    return _parse(text, _notes, "a note")


_encoder = msgspec.json.Encoder()
_participants = msgspec.json.Decoder(_Participant)
_settings = msgspec.json.Decoder(_Settings)
_records = msgspec.json.Decoder(NodeRecord)
_notes: msgspec.json.Decoder[Note] = msgspec.json.Decoder(Note)


def _dump(value: Struct) -> str:
    return _encoder.encode(value).decode()


def _parse(text: str, decoder: msgspec.json.Decoder[T], kind: str) -> T:
    if len(text) > MAX_TEXTS[kind]:
        raise WireError(f"{len(text)} characters are too many for {kind}")
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(str(error)) from None
