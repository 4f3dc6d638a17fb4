"""What instances write for each other is read with bounds, by older and newer ones, or refused by one error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from state import wire
from state.causal import CausalMap, Dot, Entry
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName, Track, TrackId
from state.settings import NO_VALUES, RoomSettings
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


ENTRY = [1, "a", "flag", "locked", "true"]


def settings_of(entries: list[object], context: dict[str, int]) -> str:
    """Settings as they are written, with these open ones."""
    nothing: dict[str, object] = {"entries": [], "context": {}}
    return json.dumps({"open": {"entries": entries, "context": context}, "lasting": nothing})


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (wire.parse_settings, settings_of([[*ENTRY[:4], "x" * (wire.MAX_VALUE + 1)]], {})),
        (wire.parse_settings, settings_of([ENTRY] * (wire.MAX_ENTRIES + 1), {})),
        (wire.parse_settings, settings_of([], {str(n): 1 for n in range(2 * wire.MAX_ENTRIES + 1)})),
        (wire.parse_settings, settings_of([], {}) + " " * wire.MAX_TEXTS["settings"]),
        (wire.parse_participant, wire.dump_participant(MEMBER) + " " * wire.MAX_TEXTS["a member"]),
        (wire.parse_record, wire.dump_record(NodeRecord(NodeId("x" * (MAX_NAME + 1)), "x"))),
        (wire.parse_record, wire.dump_record(NodeRecord(NodeId("n"), "x", participants=MAX_COUNT + 1))),
        (wire.parse_record, wire.dump_record(NodeRecord(NodeId("n"), "x")) + " " * wire.MAX_TEXTS["an announcement"]),
        (wire.parse_note, wire.dump_note(NOTES[0]) + " " * wire.MAX_TEXTS["a note"]),
        (wire.parse_note, wire.dump_note(Said(RoomName("r"), NodeId("n"), "x", "y" * (wire.MAX_PAYLOAD + 1)))),
        (wire.parse_note, wire.dump_note(Said(RoomName("r" * (MAX_NAME + 1)), NodeId("n"), "x", "y"))),
        (
            wire.parse_note,
            wire.dump_note(
                Changed(RoomName("r"), NodeId("n"), 1, 1, None, {str(n): None for n in range(wire.MAX_FIELDS + 1)})
            ),
        ),
    ],
    ids=range(12),
)
def test_nothing_is_read_that_is_larger_than_any_of_us_writes(parse: Parse, text: str) -> None:
    with pytest.raises(WireError):
        parse(text)


def test_what_moderators_decide_at_most_is_read() -> None:
    wide, decided = "\U0001f600", 2 * 2000
    dots = {
        Dot(n, f"a-{n}"): Entry(("ban", f"{n}{wide * 120}"), "[1700000000.123,1700003600.123]") for n in range(decided)
    }
    metadata = NO_VALUES.put(("metadata", wide * 64), json.dumps(wide * 1024), "a")
    settings = RoomSettings(metadata, CausalMap(dots, {dot.writer: dot.counter for dot in dots}))
    assert wire.parse_settings(wire.dump_settings(settings)) == settings


def test_what_is_written_in_a_map_counts_as_seen_there() -> None:
    text = '{"open":{"entries":[[5,"a","flag","locked","true"]],"context":{}},"lasting":{"entries":[],"context":{}}}'
    settings = wire.parse_settings(text)
    assert settings.open.context == {"a": 5}
    assert not settings.merge(settings.remove_open("flag", "locked")).flag("locked")
