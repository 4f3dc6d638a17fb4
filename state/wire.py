"""How shared state is written down: JSON that a later form may add to, read with types and bounds."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from .causal import CausalMap, Dot, Entry
from .model import Identity, Kind, NodeId, Participant, ParticipantId, RoomName, Source, Track, TrackId
from .settings import RoomSettings

MAX_NAME = 1024  # characters of a name that another instance wrote
MAX_COUNT = 2**53  # a counter beyond is not exact in Lua
T = TypeVar("T")

Name = Annotated[str, Meta(max_length=MAX_NAME)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


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
    value: str


class _CausalMap(Struct):
    entries: list[_Entry]
    context: dict[Name, Count]


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
    found = _parse(text, _Participant)
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
    found = _parse(text, _Settings)
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

    node: NodeId
    nonce: Name  # drawn by the process: tells two apart that took the same id
    url: Name = ""
    region: Name = ""
    accepting: bool = True  # it takes rooms and participants; not while it is about to end
    started: float = 0.0  # seconds since 1970
    rooms: int = 0
    participants: int = 0
    shares: bool = True  # it writes what happens there; not while it waits until the store can be relied on
    clustered: bool = True  # its people were told, if need be, that it hears the others again


def change_record(record: NodeRecord, **changes: object) -> NodeRecord:
    """A record with some fields changed."""
    return msgspec.structs.replace(record, **changes)


class Changed(Struct, frozen=True, tag="changed"):
    """A slice went from `base` to `seq` by `fields`; without fields the change is too large to be told here.

    `base` None: `fields` are the whole slice.
    """

    room: RoomName
    node: NodeId
    epoch: Count
    seq: Count
    base: Count | None = None
    fields: dict[str, str | None] | None = None


class Said(Struct, frozen=True, tag="said"):
    """Something for those in a room, or about them, that is no state; `id` tells a second delivery."""

    room: RoomName
    node: NodeId
    id: Name
    payload: str


Note = Changed | Said


def dump_record(record: NodeRecord) -> str:
    """A record, as JSON."""
    return _dump(record)


def parse_record(text: str) -> NodeRecord:
    """A record. Raises WireError."""
    return _parse(text, NodeRecord)


def dump_note(note: Note) -> str:
    """A note for an inbox, as JSON."""
    return _dump(note)


def parse_note(text: str) -> Note:
    """A note. Raises WireError."""
    return _note_decoder_parse(text)


_note_decoder: msgspec.json.Decoder[Note] = msgspec.json.Decoder(Note)
_encoder = msgspec.json.Encoder()


def _note_decoder_parse(text: str) -> Note:
    try:
        return _note_decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(str(error)) from None


def _dump(value: Struct) -> str:
    return _encoder.encode(value).decode()


def _parse(text: str, type: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=type)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(str(error)) from None
