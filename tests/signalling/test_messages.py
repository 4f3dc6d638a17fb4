"""What any bytes become: a message, or the one documented error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling import messages as m

CODES = {"invalid_json", "unknown_type", "invalid_message"}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=8,
)
types = st.sampled_from(
    ["join", "resume", "offer", "subscribe", "unsubscribe", "mute", "unmute", "chat", "leave", "ping", "welcome"]
)
fields = st.sampled_from(["token", "sdp", "tracks", "track", "text", "to", "request", "resume_token", "subscribe"])


def parses_or_says_why(data: bytes | str) -> None:
    try:
        message = m.parse_client_message(data)
    except m.MessageError as error:
        assert error.code in CODES  # noqa: PT017 - either outcome is right
    else:
        assert m.parse_client_message(m.dump(message)) == message


@given(st.binary())
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    parses_or_says_why(data)


@given(st.text())
def test_any_text_is_a_message_or_an_error(text: str) -> None:
    parses_or_says_why(text)


@given(types, st.dictionaries(fields, values))
def test_any_object_is_a_message_or_an_error(type: str, body: dict[str, object]) -> None:
    parses_or_says_why(json.dumps({"type": type, **body}))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '"' + "\\ud800" + '"', "\ud800", "1e999999", ""])
def test_input_made_to_hurt_is_an_error(text: str) -> None:
    with pytest.raises(m.MessageError):
        m.parse_client_message(text)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("{", "invalid_json", ""),
        ('{"type":"dance"}', "unknown_type", "type"),
        ('{"type":"chat"}', "invalid_message", ""),
        ('{"type":"chat","text":7}', "invalid_message", "text"),
        (
            '{"type":"offer","sdp":"v=0","tracks":[{"mid":"0","source":"nose"}]}',
            "invalid_message",
            "tracks[0].source",
        ),
        ('{"type":"welcome"}', "unknown_type", "type"),
    ],
)
def test_an_error_names_the_field(text: str, code: str, field: str) -> None:
    with pytest.raises(m.MessageError) as caught:
        m.parse_client_message(text)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_the_request_id_of_a_broken_message_is_kept() -> None:
    with pytest.raises(m.MessageError) as caught:
        m.parse_client_message('{"type":"chat","text":7,"request":"r1"}')
    assert caught.value.request == "r1"


def test_unknown_fields_are_ignored() -> None:
    assert m.parse_client_message('{"type":"ping","mood":"fine"}') == m.Ping()


def test_the_schema_holds_every_message_of_both_directions() -> None:
    schema = m.schema()
    named = json.dumps(schema["$defs"]["ClientMessage"]) + json.dumps(schema["$defs"]["ServerMessage"])
    for message in ("Join", "Resume", "Offer", "Welcome", "Slots", "Goodbye"):
        assert f"#/$defs/{message}" in named
