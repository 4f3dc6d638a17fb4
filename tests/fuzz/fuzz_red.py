"""Any payload is redundant audio, whose primary block is inside it and survives a new label, or a RedError."""

from __future__ import annotations

from sfu.red import RedError, primary_at, relabel


def run(data: bytes) -> None:
    payload_type = data[0] & 0x7F if data else 0
    try:
        at = primary_at(data, payload_type)
    except RedError:
        return
    assert 1 <= at <= len(data)
    for other in {payload_type, 63, 111, 127}:
        again = relabel(data, other)
        assert len(again) == len(data)
        assert again[at:] == data[at:]
        assert primary_at(again, other) == at
        assert relabel(again, payload_type) == data
