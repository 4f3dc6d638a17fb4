"""Any feedback body is a list of statuses or a ValueError, and any arrivals give bodies that tell of them in bounds."""

from __future__ import annotations

import struct

from sfu.transport_cc import MAX_PACKETS_PER_MESSAGE, FeedbackRecorder, parse_statuses


def run(data: bytes) -> None:
    _read(data)
    _record(data)


def _read(data: bytes) -> None:
    try:
        base, statuses = parse_statuses(data)
    except ValueError:
        return
    assert 0 <= base < 1 << 16
    assert len(statuses) == int.from_bytes(data[2:4], "big")


def _record(data: bytes) -> None:
    recorder = FeedbackRecorder()
    now = 0.0
    usable = data[: len(data) // 3 * 3]
    for number, pause in struct.iter_unpack("!HB", usable):
        now += pause * pause / 1000  # from a burst to a minute of silence
        recorder.received(number, now)
        if pause % 16 == 1:
            _tell(recorder)
    _tell(recorder)


def _tell(recorder: FeedbackRecorder) -> None:
    for body in recorder.messages():
        _, statuses = parse_statuses(body)
        assert 1 <= len(statuses) <= MAX_PACKETS_PER_MESSAGE
        assert len(body) <= 8 + 3 * MAX_PACKETS_PER_MESSAGE
    assert not recorder.pending
