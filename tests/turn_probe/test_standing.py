"""A server falls after three failures in a row, rises after two successes, and does not flap."""

from __future__ import annotations

import pytest

from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace, Standing

from .pretend import UDP, Pretended, drive_of

PACE = Pace()


def report(verdict: Verdict, round_trip: float | None = None, login: int = 0) -> Report:
    return Report(UDP, verdict, "", (), round_trip=round_trip, login=login)


def longest_probe() -> float:
    """Seconds of the longest probe of a silent relay that gets slower and slower."""
    drives = [drive_of(Pretended(relays=lambda number: False, delay=delay / 20)) for delay in range(1, 60)]
    for drive in drives:
        drive.run()
    return max(drive.now for drive in drives) - drive_of(Pretended()).now


class Watch:
    """A standing that is probed whenever it is due."""

    def __init__(self, chance: float = 0.5) -> None:
        self.standing = Standing(UDP, PACE, lambda: chance, 0.0)
        self.now = self.standing.due

    def sees(self, verdict: Verdict, takes: float = 0.0) -> bool:
        """Wait until it is due, and let a probe find that."""
        self.now = max(self.now, self.standing.due) + takes
        self.standing.take(report(verdict), self.now)
        return self.standing.usable


def test_before_anything_is_known_the_configuration_is_believed() -> None:
    standing = Watch().standing
    assert standing.usable
    assert standing.state is None


def test_it_falls_after_three_failures_in_a_row() -> None:
    watch = Watch()
    assert [watch.sees(Verdict.DOWN) for _ in range(3)] == [True, True, False]
    assert watch.standing.state is Verdict.DOWN


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_one_that_stops_to_relay_right_after_a_probe_is_found_within_45_seconds(chance: float) -> None:
    watch, longest = Watch(chance), longest_probe()
    watch.sees(Verdict.UP)
    broke_at = watch.now
    while watch.sees(Verdict.RELAY_SILENT, takes=longest):
        pass
    assert watch.now - broke_at <= 45.0


def test_two_failures_are_forgiven() -> None:
    watch = Watch()
    for _ in range(10):
        assert [watch.sees(v) for v in (Verdict.DOWN, Verdict.DOWN, Verdict.UP)] == [True] * 3


def test_it_rises_after_two_successes_but_not_before_the_hold_is_over() -> None:
    watch = Watch()
    while watch.sees(Verdict.DOWN):
        pass
    fell_at = watch.now
    assert not watch.sees(Verdict.UP)
    while not watch.sees(Verdict.UP):
        pass
    assert PACE.hold <= watch.now - fell_at <= 1.2 * PACE.interval + 2 * PACE.again + 1.0


def test_one_success_between_failures_does_not_raise_it() -> None:
    watch = Watch()
    while watch.sees(Verdict.DOWN):
        pass
    for _ in range(20):
        assert not watch.sees(Verdict.UP)
        assert not watch.sees(Verdict.DOWN)


def test_a_server_that_flaps_for_an_hour_changes_the_list_a_few_times_only() -> None:
    """Up and down for a minute each: without a growing hold that were sixty changes."""
    watch, changes, before = Watch(), 0, True
    while watch.now < 3600.0:
        after = watch.sees(Verdict.UP if watch.standing.due % 120 < 60 else Verdict.DOWN)
        changes += after is not before
        before = after
    assert 2 <= changes <= 22


def test_a_fault_of_our_own_changes_nothing() -> None:
    watch = Watch()
    watch.sees(Verdict.UP)
    for _ in range(10):
        assert watch.sees(Verdict.OWN_NETWORK_BROKEN)
    assert watch.standing.state is Verdict.UP


@pytest.mark.parametrize("verdict", [Verdict.OVERLOADED, Verdict.OPEN_RELAY])
def test_a_server_that_is_full_or_open_is_kept_and_named(verdict: Verdict) -> None:
    watch = Watch()
    assert [watch.sees(verdict) for _ in range(5)] == [True] * 5
    assert watch.standing.state is verdict


@pytest.mark.parametrize("verdict", [Verdict.OVERLOADED, Verdict.OPEN_RELAY])
def test_it_becomes_the_second_choice_and_the_first_again_when_that_lasts(verdict: Verdict) -> None:
    watch = Watch()
    watch.sees(Verdict.UP)
    seen = []
    for found in (verdict, verdict, Verdict.UP, *[verdict] * 3, Verdict.UP, Verdict.UP, verdict, *[Verdict.UP] * 3):
        watch.sees(found)
        seen.append(watch.standing.second_choice)
    assert seen == [False] * 5 + [True] * 6 + [False]


def test_what_is_seen_first_is_believed_at_once() -> None:
    watch = Watch()
    watch.sees(Verdict.OVERLOADED)
    assert watch.standing.second_choice


def test_instances_do_not_probe_all_at_once() -> None:
    dues = []
    for chance in (0.0, 0.5, 1.0):
        watch = Watch(chance)
        watch.sees(Verdict.UP)
        dues.append(watch.standing.due - watch.now)
    assert dues == pytest.approx([0.8 * PACE.interval, PACE.interval, 1.2 * PACE.interval])


def test_the_round_trip_is_smoothed_and_the_secret_that_fits_remembered() -> None:
    standing = Watch().standing
    standing.take(report(Verdict.UP, 0.100), 1.0)
    standing.take(report(Verdict.UP, 0.200, login=1), 2.0)
    assert standing.round_trip == pytest.approx(0.130)
    assert standing.login == 1
