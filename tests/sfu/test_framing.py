"""Datagrams come out of a stream as they went in, however it was cut, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.framing import Deframer, FramingError, framed, framed_together

from .hostile import MANY

DATAGRAMS = st.lists(st.binary(min_size=2, max_size=1500), max_size=12)


def all_of(deframer: Deframer) -> list[bytes]:
    found = []
    while deframer.ready:
        datagram = deframer.next()
        assert datagram is not None
        found.append(datagram)
    assert deframer.next() is None
    return found


@MANY
@given(DATAGRAMS, st.data())
def test_any_split_of_the_stream_gives_the_same_datagrams(datagrams: list[bytes], data: st.DataObject) -> None:
    stream = framed_together(datagrams)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    deframer, found = Deframer(2, 1500), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        deframer.feed(stream[begin:end])
        found += all_of(deframer)
    assert found == datagrams


@MANY
@given(DATAGRAMS, st.integers(0, 3))
def test_what_is_read_one_at_a_time_stays_in_order(datagrams: list[bytes], at_once: int) -> None:
    deframer, found = Deframer(2, 1500), []
    for datagram in datagrams:
        deframer.feed(framed(datagram))
        for _ in range(at_once):
            if (one := deframer.next()) is not None:
                found.append(one)
    assert found + all_of(deframer) == datagrams


def test_together_is_one_after_the_other() -> None:
    assert framed_together([b"abc", b"", b"de"]) == b"\0\3abc\0\0\0\2de"


@pytest.mark.parametrize("length", [0, 1, 1501, 0x1603, 0x4745, 65535])  # TLS and "GET " among them
def test_a_length_that_no_datagram_has_ends_the_stream(length: int) -> None:
    deframer = Deframer(2, 1500)
    deframer.feed(framed(b"good") + length.to_bytes(2, "big"))
    assert deframer.next() == b"good"
    for _ in range(2):
        with pytest.raises(FramingError):
            deframer.next()
        deframer.feed(bytes(100))
    with pytest.raises(FramingError):
        _ = deframer.ready


@MANY
@given(st.lists(st.binary(max_size=50), max_size=30))
def test_any_bytes_are_datagrams_of_the_right_size_or_a_framing_error(pieces: list[bytes]) -> None:
    deframer = Deframer(2, 20)
    fed = taken = 0
    for piece in pieces:
        deframer.feed(piece)
        fed += len(piece)
        try:
            found = all_of(deframer)
        except FramingError:
            return
        assert all(2 <= len(datagram) <= 20 for datagram in found)
        taken += sum(2 + len(datagram) for datagram in found)
        assert fed - taken < 2 + 20, "what is kept is less than one frame"
