"""What instances write for each other is read with bounds, by older and newer ones, or refused by one error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from state import wire
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName, Track, TrackId
from state.settings import RoomSettings
from state.wire import MAX_COUNT, MAX_NAME, Changed, NodeRecord, Said, WireError

Parse = Callable[[str], object]

TRACK = Track(TrackId("t"), "video", "screen", muted=True)
MEMBER = Participant(ParticipantId("p"), Identity("ann"), "Änn", {TRACK.id: TRACK}, 7)
SETTINGS = (
    RoomSettings(incarnation="i")
    .put_open("flag", "locked", "true", "a")
    .put_lasting("ban", "eve", "true", "a", 9)
    .remove_lasting("ban", "eve")
)
NOTES = [
    Changed(RoomName("r"), NodeId("n"), 1, 2, 1, {"p:1": None, "p:2": "{}"}),
    Changed(RoomName("r"), NodeId("n"), 1, 2),
    Said(RoomName("r"), NodeId("n"), "x", "hello"),
]
PARSERS = [wire.parse_participant, wire.parse_settings, wire.parse_record, wire.parse_note]


def test_what_is_written_is_read_as_the_same() -> None:
    assert wire.parse_participant(wire.dump_participant(MEMBER)) == MEMBER
    assert wire.parse_settings(wire.dump_settings(SETTINGS)) == SETTINGS
    record = NodeRecord(NodeId("n"), "nonce", "wss://n", "west", False, 1.5, 2, 3, False, False)
    assert wire.parse_record(wire.dump_record(record)) == record
    for note in NOTES:
        assert wire.parse_note(wire.dump_note(note)) == note


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (wire.parse_participant, wire.dump_participant(MEMBER)),
        (wire.parse_settings, wire.dump_settings(SETTINGS)),
        (wire.parse_record, wire.dump_record(NodeRecord(NodeId("n"), "x"))),
        *((wire.parse_note, wire.dump_note(note)) for note in NOTES),
    ],
)
def test_a_field_of_a_later_form_is_ignored(parse: Parse, text: str) -> None:
    assert parse(json.dumps({**json.loads(text), "later": [1, {"x": None}]})) == parse(text)


def test_an_instance_of_an_earlier_version_is_taken_for_one_that_shares_and_is_clustered() -> None:
    record = wire.parse_record('{"node":"n","nonce":"x"}')
    assert record.shares
    assert record.clustered


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "7", '"x"', "{}", "\udc80", '{"type":"?"}', "[" * 10_000, '{"id":' * 5_000]
)
def test_junk_is_refused_by_one_error(parse: Parse, text: str) -> None:
    with pytest.raises(WireError):
        parse(text)


def test_names_and_counters_have_bounds() -> None:
    member = json.loads(wire.dump_participant(MEMBER))
    for change in ({"name": "x" * (MAX_NAME + 1)}, {"joined": -1}, {"joined": MAX_COUNT + 1}, {"tracks": [[]] * 65}):
        with pytest.raises(WireError):
            wire.parse_participant(json.dumps({**member, **change}))
    note = json.loads(wire.dump_note(NOTES[0]))
    for change in ({"epoch": -1}, {"seq": MAX_COUNT + 1}, {"seq": 1.5}, {"fields": {"x": 1}}):
        with pytest.raises(WireError):
            wire.parse_note(json.dumps({**note, **change}))


def test_what_is_written_in_a_map_counts_as_seen_there() -> None:
    text = '{"open":{"entries":[[5,"a","flag","locked","true"]],"context":{}},"lasting":{"entries":[],"context":{}}}'
    settings = wire.parse_settings(text)
    assert settings.open.context == {"a": 5}
    assert not settings.merge(settings.remove_open("flag", "locked")).flag("locked")
