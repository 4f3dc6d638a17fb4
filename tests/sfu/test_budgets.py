"""What is within a budget passes, what is beyond it does not, and time gives back what was spent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.budgets import Allowance, Budget, Rate


def test_a_burst_passes_at_once_and_the_rate_for_ever() -> None:
    budget = Budget(Rate(per_second=10, burst=3), now=0.0)
    assert [budget.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(0.1), budget.take(0.1)] == [True, False]
    assert sum(budget.take(100.0) for _ in range(10)) == 3, "no more than a burst is saved"


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    budget = Budget(Rate(per_second=10, burst=1), now=5.0)
    assert budget.take(5.0)
    assert not budget.take(4.0)


def taken(allowance: Allowance, size: int, now: float) -> bool:
    """As the packet path does it."""
    allowance.packets -= 1
    allowance.bytes -= size
    return not ((allowance.packets < 0 or allowance.bytes < 0) and not allowance.refill(size, now))


def test_packets_within_the_rate_all_pass() -> None:
    allowance = Allowance(1000, 1_000_000)
    assert all(taken(allowance, 1000, packet / 1000) for packet in range(10_000))


def test_too_many_packets_are_cut_to_the_rate() -> None:
    allowance = Allowance(1000, 1_000_000)
    passed = sum(taken(allowance, 100, packet / 50_000) for packet in range(500_000))
    assert 10_000 <= passed <= 11_001


def test_too_many_bytes_are_cut_to_the_rate() -> None:
    allowance = Allowance(1000, 100_000)
    passed = sum(taken(allowance, 1000, packet / 900) for packet in range(9000))
    assert 1000 <= passed <= 1101


@given(st.lists(st.tuples(st.floats(0, 0.01), st.integers(1, 1500)), max_size=300))
def test_never_more_than_a_second_and_the_rate_passes(steps: list[tuple[float, int]]) -> None:
    allowance, now, packets, bytes_passed = Allowance(50, 20_000), 0.0, 0, 0
    for wait, size in steps:
        now += wait
        if taken(allowance, size, now):
            packets += 1
            bytes_passed += size
    assert packets <= 50 * (1 + now) + 1
    assert bytes_passed <= 20_000 * (1 + now) + 1
