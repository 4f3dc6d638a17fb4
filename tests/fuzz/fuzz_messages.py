"""Any bytes are a client's message, which can be written and read again, or a MessageError with one of three codes."""

from __future__ import annotations

from signalling.messages import MessageError, dump, parse_client_message

CODES = {"invalid_json", "unknown_type", "invalid_message"}


def run(data: bytes) -> None:
    try:
        message = parse_client_message(data)
    except MessageError as error:
        assert error.code in CODES
        assert str(error)
        return
    assert parse_client_message(dump(message)) == message
