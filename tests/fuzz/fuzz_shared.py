"""Whatever stands in the store is read as a note, a participant, settings and a record, or refused by WireError.

What is read can be written down and read again as the same, keeps its bounds, and merges.
"""

from __future__ import annotations

from state import slices, wire
from state.model import NodeId, RoomName
from state.remote import RemoteRoom
from state.slices import Version
from state.wire import MAX_COUNT, MAX_NAME, Changed, WireError


def run(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    _note(text)
    _member(text)
    _settings(text)
    _record(text)
    _slice(text)


def _note(text: str) -> None:
    try:
        note = wire.parse_note(text)
    except WireError:
        return
    assert wire.parse_note(wire.dump_note(note)) == note
    if isinstance(note, Changed):
        assert 0 <= note.epoch <= MAX_COUNT
        assert 0 <= note.seq <= MAX_COUNT
        room = RemoteRoom(note.room)
        try:
            outcome = room.heard(note)
        except WireError:
            assert not room.slices
            return
        assert (outcome == "applied") == (room.version(note.node) == Version(note.epoch, note.seq) != slices.NOTHING)


def _member(text: str) -> None:
    try:
        member = wire.parse_participant(text)
    except WireError:
        return
    assert wire.parse_participant(wire.dump_participant(member)) == member
    assert max(map(len, (member.id, member.identity, member.name))) <= MAX_NAME


def _settings(text: str) -> None:
    try:
        settings = wire.parse_settings(text)
    except WireError:
        return
    assert wire.parse_settings(wire.dump_settings(settings)) == settings
    assert settings.merge(settings) == settings
    later = settings.put_open("flag", "locked", "true", "me").put_lasting("ban", "x", "true", "me")
    assert later.flag("locked")
    assert later.is_banned("x")
    assert settings.merge(later) == later.merge(settings) == later


def _record(text: str) -> None:
    try:
        record = wire.parse_record(text)
    except WireError:
        return
    assert wire.parse_record(wire.dump_record(record)) == record


def _slice(text: str) -> None:
    room, node = RemoteRoom(RoomName("r")), NodeId("n")
    fresh, unreadable = room.fetched({node: (Version(1, 1), {"p:1": text, "settings": text, "x": text})}, [node])
    assert len(fresh) + len(unreadable) == 1
