"""What waits for a client that reads slowly is bounded."""

from __future__ import annotations

import pytest

from signalling.outbox import Outbox, OutboxFull


def test_texts_come_out_in_their_order() -> None:
    outbox = Outbox(max_messages=3, max_bytes=100)
    for text in ("1", "2", "3"):
        outbox.put(text)
    assert [outbox.take() for _ in range(4)] == ["1", "2", "3", None]


def test_too_many_messages_empty_it() -> None:
    outbox = Outbox(max_messages=1, max_bytes=100)
    outbox.put("1")
    with pytest.raises(OutboxFull):
        outbox.put("2")
    assert len(outbox) == 0


def test_too_many_bytes_empty_it_and_read_ones_do_not_count() -> None:
    outbox = Outbox(max_messages=100, max_bytes=10)
    for _ in range(5):
        outbox.put("x" * 10)
        outbox.take()
    outbox.put("x" * 10)
    with pytest.raises(OutboxFull):
        outbox.put("y")


def test_one_large_message_still_goes_out() -> None:
    outbox = Outbox(max_messages=10, max_bytes=10)
    outbox.put("x" * 1000)
    assert outbox.take() == "x" * 1000
