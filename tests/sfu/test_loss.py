"""Promises of the repair of lost packets, in virtual time."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp
from sfu.loss import MAX_ASKED, MAX_MISSING, LossRepair

from .hostile import MANY


def test_nothing_missing_is_nothing_to_ask_for() -> None:
    loss = LossRepair()
    assert not loss
    assert loss.due(1.0) == []


def test_a_missing_packet_is_asked_for_after_time_for_reordering() -> None:
    loss = LossRepair()
    assert loss.gap(0x1FFFE, 0x20001, 1.0)
    assert loss
    assert loss.due(1.009) == []
    assert loss.due(1.011) == [0xFFFE, 0xFFFF, 0]


def test_a_packet_that_was_only_late_is_not_asked_for() -> None:
    loss = LossRepair()
    loss.gap(5, 7, 1.0)
    loss.arrived(5)
    assert loss.due(1.02) == [6]


def test_what_does_not_come_is_asked_for_again_ten_times_and_then_given_up() -> None:
    loss = LossRepair()
    loss.gap(5, 6, 0.0)
    asked = [step / 100 for step in range(300) if loss.due(step / 100)]
    assert len(asked) == 10
    assert all(later - earlier >= 0.0999 for earlier, later in itertools.pairwise(asked))
    assert not loss


def test_a_packet_that_arrived_is_asked_for_no_more() -> None:
    loss = LossRepair()
    loss.gap(5, 6, 0.0)
    assert loss.due(0.02) == [5]
    loss.arrived(5)
    loss.arrived(5)
    loss.arrived(99)
    assert loss.due(0.2) == []


def test_too_many_losses_are_not_repaired_and_all_forgotten() -> None:
    loss = LossRepair()
    assert loss.gap(0, MAX_MISSING, 0.0)
    assert not loss.gap(MAX_MISSING, MAX_MISSING + 1, 0.0)
    assert not loss
    assert loss.due(1.0) == []
    assert loss.gap(1000, 1001, 1.0)


def test_what_is_asked_for_at_once_fits_into_a_datagram_and_the_rest_follows() -> None:
    loss = LossRepair()
    for number in range(0, 17 * 400, 17):  # so far apart that each number takes an entry of its own
        loss.gap(number, number + 1, 0.0)
    first, second = loss.due(0.02), loss.due(0.02)
    assert len(first) == MAX_ASKED
    assert first + second == list(range(0, 17 * 400, 17))
    assert len(rtcp.nack(1, 2, first)) <= 1200
    assert loss.due(0.02) == []


@MANY
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.floats(0, 0.3)), max_size=60))
def test_a_missing_packet_is_asked_for_until_it_comes_and_ten_times_at_most(
    steps: list[tuple[int, bool, float]],
) -> None:
    loss, highest, now = LossRepair(), 0, 0.0
    missing: set[int] = set()
    asked: dict[int, list[float]] = {}
    for skipped, comes, wait in steps:
        now += wait
        if skipped > 1:
            assert loss.gap(highest + 1, highest + skipped, now)
            missing.update(range(highest + 1, highest + skipped))
        highest += skipped
        for number in loss.due(now):
            assert number in missing
            asked.setdefault(number, []).append(now)
            if comes:
                loss.arrived(number)
                missing.remove(number)
    assert all(later - earlier >= 0.099 for times in asked.values() for earlier, later in itertools.pairwise(times))
    assert max(map(len, asked.values()), default=0) <= 10
    given_up = missing - loss._missing.keys()
    assert loss._missing.keys() <= missing
    assert all(len(asked[number]) == 10 for number in given_up)
    assert loss.missed == len(asked)
