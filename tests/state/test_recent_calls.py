"""The window of recent calls, against a list of all calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import booleans, floats, lists, tuples

from state.recent_calls import BUCKETS, RecentCalls


@given(lists(tuples(floats(0, 4), booleans(), booleans()), max_size=60))
def test_it_counts_the_last_window_and_nothing_much_older(steps: list[tuple[float, bool, bool]]) -> None:
    recent, now, ended = RecentCalls(10.0), 0.0, list[tuple[float, bool, bool]]()
    for step, failed, slow in steps:
        now += step
        recent.add(now, failed=failed, slow=slow)
        ended.append((now, failed, slow))
        within = [call for call in ended if call[0] > now - 9.0]
        nearly = [call for call in ended if call[0] > now - 10.0 - 1e-9]
        assert len(within) <= recent.calls <= len(nearly)
        assert sum(call[1] for call in within) <= recent.failed <= sum(call[1] for call in nearly)
        assert sum(call[2] for call in within) <= recent.slow <= sum(call[2] for call in nearly)


def test_it_takes_no_more_room_for_more_calls() -> None:
    recent = RecentCalls(10.0)
    for number in range(50_000):
        recent.add(number / 1000)
    assert len(recent._buckets) == BUCKETS
    assert 9_000 <= recent.calls <= 10_000


def test_cleared_it_has_forgotten_all() -> None:
    recent = RecentCalls(10.0)
    recent.add(1.0, failed=True, slow=True)
    recent.clear()
    assert (recent.calls, recent.failed, recent.slow) == (0, 0, 0)
    recent.add(2.0)
    assert (recent.calls, recent.failed, recent.slow) == (1, 0, 0)
