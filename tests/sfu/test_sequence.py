"""Promises of the serial number arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.sequence import FIRST_CYCLE, extend

from .hostile import MANY, U16


@MANY
@given(U16, st.integers(-(1 << 40), 1 << 48))
def test_the_extended_number_is_the_nearest_integer_with_these_low_bits(number: int, reference: int) -> None:
    extended = extend(number, reference)
    assert extended & 0xFFFF == number
    assert all(abs(extended - reference) <= abs(extended + other - reference) for other in (-0x10000, 0x10000))


@MANY
@given(st.integers(FIRST_CYCLE, 1 << 48), st.integers(-0x7FFF, 0x7FFF))
def test_a_counter_that_moves_by_less_than_half_a_cycle_is_followed(reference: int, step: int) -> None:
    assert extend((reference + step) & 0xFFFF, reference) == reference + step


@pytest.mark.parametrize(
    ("number", "reference", "extended"),
    [
        (0, 0x1FFFF, 0x20000),
        (0xFFFF, 0x20000, 0x1FFFF),
        (5, 0x10005, 0x10005),
        (0xFFFF, FIRST_CYCLE, FIRST_CYCLE - 1),
        (0x8000, 0x10000, 0x8000),  # as far ahead as behind: taken as late
    ],
)
def test_wraps_forward_and_backward(number: int, reference: int, extended: int) -> None:
    assert extend(number, reference) == extended


def test_a_packet_from_before_the_first_one_still_has_a_positive_number() -> None:
    assert extend(0x8001, FIRST_CYCLE) > 0
