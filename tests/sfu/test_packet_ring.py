"""Promises of the ring of recent packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.packet_ring import PacketRing, Stored

from .hostile import MANY


def stored(number: int, payload: bytes = b"") -> Stored:
    return Stored(number, 0x80, number * 3000, -1, -1, payload)


def test_what_was_stored_is_got_back() -> None:
    ring = PacketRing(8)
    assert ring.store(stored(5, b"five"))
    assert ring.get(5) == stored(5, b"five")
    assert ring.get(13) is None
    assert ring.get(6) is None


def test_a_number_is_stored_once_and_the_first_stays() -> None:
    ring = PacketRing(8)
    assert ring.store(stored(5, b"first"))
    assert not ring.store(stored(5, b"second"))
    assert ring.get(5) == stored(5, b"first")


def test_a_late_packet_is_taken_within_the_window_and_not_behind_it() -> None:
    ring = PacketRing(8)
    ring.store(stored(100))
    assert ring.store(stored(93))
    assert not ring.store(stored(92))
    assert ring.get(93) == stored(93)
    assert ring.get(92) is None
    assert ring.get(100) == stored(100)


@pytest.mark.parametrize("capacity", [0, -1, 3, 12, 1000])
def test_the_capacity_is_a_power_of_two(capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        PacketRing(capacity)


@MANY
@given(st.sampled_from([1, 2, 8, 16]), st.lists(st.integers(1, 60), max_size=80))
def test_the_ring_is_the_window_below_the_highest_number(capacity: int, numbers: list[int]) -> None:
    ring = PacketRing(capacity)
    accepted: set[int] = set()
    highest = 0
    for number in numbers:
        highest = max(highest, number)
        fresh = number not in accepted and number > highest - capacity
        assert ring.store(stored(number)) is fresh
        if fresh:
            accepted.add(number)
        for held in range(1, 61):
            # Behind the window a packet may stay until its place is needed; what is asked for is never another one.
            got = ring.get(held)
            assert got is None or (got == stored(held) and held in accepted)
            if held in accepted and held > highest - capacity:
                assert got is not None
