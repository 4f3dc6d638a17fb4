"""The quickest server comes first, and the order changes only for a clear and lasting difference."""

from __future__ import annotations

from turn_probe.ranking import Ranking


def rounds(ranking: Ranking[str], times: dict[str, float], count: int) -> list[str]:
    for _ in range(count):
        for name in times:
            ranking.measured(name, times)
    return ranking.order


def test_the_order_is_the_configured_one_until_something_is_measured() -> None:
    assert Ranking(["b", "a"]).order == ["b", "a"]


def test_a_clearly_quicker_one_passes_after_three_rounds() -> None:
    ranking = Ranking(["a", "b", "c"])
    times = {"a": 0.100, "b": 0.100, "c": 0.050}
    assert rounds(ranking, times, 2) == ["a", "b", "c"]
    assert rounds(ranking, times, 1) == ["c", "a", "b"]


def test_it_passes_only_those_that_it_beats_clearly() -> None:
    assert rounds(Ranking(["a", "b", "c"]), {"a": 0.055, "b": 0.100, "c": 0.050}, 3) == ["a", "c", "b"]


def test_a_fifth_is_not_enough_and_neither_are_ten_milliseconds() -> None:
    assert rounds(Ranking(["a", "b"]), {"a": 0.100, "b": 0.081}, 20) == ["a", "b"]
    assert rounds(Ranking(["a", "b"]), {"a": 0.012, "b": 0.002}, 20) == ["a", "b"]


def test_one_round_in_between_begins_the_count_anew() -> None:
    ranking = Ranking(["a", "b"])
    for _ in range(10):
        rounds(ranking, {"a": 0.100, "b": 0.050}, 2)
        assert rounds(ranking, {"a": 0.100, "b": 0.095}, 1) == ["a", "b"]


def test_one_that_was_never_measured_is_no_rival() -> None:
    assert rounds(Ranking(["silent", "a", "b"]), {"a": 0.100, "b": 0.020}, 3) == ["silent", "b", "a"]
