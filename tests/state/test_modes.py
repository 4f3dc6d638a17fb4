"""The mode machine: an outage is told soon, and a flapping store does not flap the clients."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, floats, integers, lists, sampled_from, tuples

from state.modes import Mode, ModeChange, Modes, Stays

SINGLE, CLUSTERED, STANDALONE, RECONCILING = Mode.SINGLE, Mode.CLUSTERED, Mode.STANDALONE, Mode.RECONCILING
STAYS = Stays(first=5, most=60, calm=60, quiet=3)


def clustered(at: float = 0.0) -> Modes:
    """An instance after a healthy start."""
    modes = Modes(at, STAYS)
    modes.update(at, healthy=True, reason="")
    modes.reconciled(at)
    assert modes.mode is CLUSTERED
    return modes


def fall(modes: Modes, at: float) -> ModeChange | None:
    return modes.update(at, healthy=False, reason="refused")


def rise(modes: Modes, at: float) -> ModeChange | None:
    return modes.update(at, healthy=True, reason="") and modes.reconciled(at)


def test_no_store_by_choice_and_a_store_that_is_there_are_not_degraded() -> None:
    assert [mode for mode in Mode if mode.degraded] == [STANDALONE, RECONCILING]


# ---------------------------------------------------------------------------------------------------- the start


def test_it_starts_standalone_and_says_so_to_nobody_yet() -> None:
    modes = Modes(100.0, STAYS)
    assert (modes.mode, modes.reason, modes.since, modes.stay) == (STANDALONE, "not connected yet", 100.0, 0.0)
    assert modes.degraded
    assert not modes.announced


def test_a_healthy_start_is_clustered_at_once_and_clients_hear_of_no_change() -> None:
    modes = Modes(100.0, STAYS)
    first = modes.update(100.1, healthy=True, reason="")
    second = modes.reconciled(100.2)
    assert first == ModeChange(RECONCILING, STANDALONE, "the store answers again", 100.1, 100.1, announced=False)
    assert second == ModeChange(CLUSTERED, RECONCILING, "reconciled", 100.2, 100.2, announced=False)
    assert (modes.announced, modes.degraded) == (True, False)


def test_a_start_without_the_store_is_told_after_a_moment() -> None:
    modes = Modes(100.0, STAYS)
    modes.update(102.9, healthy=False, reason="refused")
    assert not modes.announced
    modes.update(103.0, healthy=False, reason="loading")
    assert (modes.announced, modes.mode, modes.reason, modes.since) == (True, STANDALONE, "loading", 100.0)
    change = modes.update(104.0, healthy=True, reason="")
    assert change is not None
    assert (change.mode, change.announced) == (RECONCILING, True)


def test_a_first_exchange_that_takes_its_time_is_told_to_nobody_unless_the_store_goes_away_in_it() -> None:
    modes = Modes(100.0, STAYS)
    modes.update(101.0, healthy=True, reason="")
    modes.update(105.0, healthy=True, reason="")
    assert (modes.mode, modes.announced) == (RECONCILING, False)
    modes.update(105.1, healthy=False, reason="refused")
    modes.update(105.2, healthy=False, reason="refused")
    assert (modes.mode, modes.announced) == (STANDALONE, True)


# ------------------------------------------------------------------------------------------------------ outages


def test_the_first_outage_is_told_at_once() -> None:
    modes = clustered()
    assert fall(modes, 0.5) == ModeChange(STANDALONE, CLUSTERED, "refused", 0.5, 0.5)
    assert (modes.reason, modes.stay, modes.degraded) == ("refused", 5.0, True)


def test_an_outage_after_a_calm_time_is_told_at_once() -> None:
    modes = clustered()
    fall(modes, 10.0)
    rise(modes, 20.0)
    assert fall(modes, 90.0) is not None
    assert modes.stay == 5.0


def test_a_store_that_is_back_at_once_is_not_believed_before_the_minimum_stay() -> None:
    modes = clustered()
    fall(modes, 10.0)
    assert modes.update(14.9, healthy=True, reason="") is None
    change = modes.update(15.0, healthy=True, reason="")
    assert change is not None
    assert (change.mode, modes.stay) == (RECONCILING, 0.0)


def test_reconciling_lasts_as_long_as_its_work() -> None:
    modes = clustered()
    fall(modes, 10.0)
    modes.update(15.0, healthy=True, reason="")
    for now in (16.0, 60.0):
        assert modes.update(now, healthy=True, reason="") is None
    assert modes.reconciled(61.0) == ModeChange(CLUSTERED, RECONCILING, "reconciled", 61.0, 61.0)


def test_work_that_is_done_in_another_mode_changes_nothing() -> None:
    modes = clustered()
    assert modes.reconciled(1.0) is None
    fall(modes, 2.0)
    assert modes.reconciled(60.0) is None
    assert modes.mode is STANDALONE


def test_a_store_that_goes_away_while_reconciling_begins_a_new_minimum_stay() -> None:
    modes = clustered()
    fall(modes, 10.0)
    modes.update(15.0, healthy=True, reason="")
    assert fall(modes, 16.0) == ModeChange(STANDALONE, RECONCILING, "refused", 16.0, 16.0)
    assert modes.update(20.9, healthy=True, reason="") is None
    assert modes.update(21.0, healthy=True, reason="") is not None


def test_while_standalone_the_reason_is_the_latest_one_and_since_stays() -> None:
    modes = clustered()
    fall(modes, 10.0)
    assert modes.update(11.0, healthy=False, reason="loading") is None
    modes.update(12.0, healthy=False, reason="")
    assert (modes.reason, modes.since) == ("loading", 10.0)


# ----------------------------------------------------------------------------------------------------- flapping


def test_from_the_second_time_on_clustered_has_a_minimum_stay_too() -> None:
    modes = clustered()
    fall(modes, 10.0)
    rise(modes, 15.0)
    assert modes.stay == 5.0
    assert fall(modes, 17.0) is None
    assert modes.mode is CLUSTERED
    change = fall(modes, 20.0)
    assert change is not None
    assert (change.mode, change.since, change.at) == (STANDALONE, 17.0, 20.0)  # held back, but true since 17


def test_the_trouble_that_is_told_is_the_one_that_lasts() -> None:
    modes = clustered()
    fall(modes, 10.0)
    rise(modes, 15.0)
    fall(modes, 16.0)
    modes.update(17.0, healthy=True, reason="")
    fall(modes, 19.0)
    fall(modes, 20.0)
    assert modes.since == 19.0


def test_each_restless_spell_doubles_the_minimum_stay_up_to_a_minute() -> None:
    modes, now, stays = clustered(), 10.0, list[float]()
    for _ in range(7):
        fall(modes, now)
        stays.append(modes.stay)
        now += modes.stay
        rise(modes, now)
        assert modes.stay == stays[-1]
        now += min(modes.stay, 59.0)
        fall(modes, now)  # refused where the stay is longer: disturbed all the same
        now = max(now, modes.since + modes.stay) if modes.mode is CLUSTERED else now
    assert stays == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


def test_a_minute_of_calm_makes_the_minimum_stay_short_again() -> None:
    modes = clustered()
    fall(modes, 10.0)
    rise(modes, 15.0)
    fall(modes, 25.0)
    assert modes.stay == 10.0
    rise(modes, 35.0)
    fall(modes, 95.0)
    assert modes.stay == 5.0


def test_a_store_that_flaps_every_five_seconds_for_five_minutes_changes_the_mode_a_few_times() -> None:
    modes, changes = clustered(), list[ModeChange]()
    for tenth in range(3000):
        now = tenth / 10
        told = [modes.update(now, healthy=tenth // 50 % 2 == 0, reason="refused"), modes.reconciled(now)]
        changes += [change for change in told if change]
    falls = [change for change in changes if change.before is CLUSTERED]
    assert len(falls) <= 5
    assert modes.stay >= 40.0


# ------------------------------------------------------------------------------------------ whatever the samples

SAMPLES = lists(tuples(sampled_from([0.1, 1.0, 4.9, 5.0]) | floats(0.01, 70), booleans(), integers(0, 3)), max_size=80)


@given(SAMPLES, floats(0, 1e6))
@settings(deadline=None)
def test_what_clients_hear_changes_no_faster_than_the_minimum_stay(
    samples: list[tuple[float, bool, int]], start: float
) -> None:
    modes, now, changes = Modes(start, STAYS), start, list[tuple[ModeChange, float]]()
    for step, healthy, work in samples:
        now += step
        told = [modes.update(now, healthy=healthy, reason="refused")]
        told += [modes.reconciled(now)] if work == 0 else []
        changes += [(change, modes.stay) for change in told if change and change.announced]
        assert modes.degraded == (modes.mode is not CLUSTERED)
    for change, _ in changes:
        assert change.since <= change.at
        assert (change.before, change.mode) in {
            (CLUSTERED, STANDALONE),
            (STANDALONE, RECONCILING),
            (RECONCILING, STANDALONE),
            (RECONCILING, CLUSTERED),
        }
    # Into CLUSTERED and out of it: what a client sees as "well" and "not well".
    seen = [(change, stay) for change, stay in changes if CLUSTERED in (change.mode, change.before)]
    fell = False
    for (earlier, stay), (later, _) in pairwise(seen):
        fell = fell or earlier.mode is STANDALONE
        assert earlier.mode is later.before or later.before is RECONCILING
        if fell:
            assert 5.0 <= stay <= 60.0
            assert later.at >= earlier.at + stay


@given(SAMPLES)
@settings(deadline=None)
def test_after_good_health_for_long_enough_it_is_clustered(samples: list[tuple[float, bool, int]]) -> None:
    modes, now = Modes(0.0, STAYS), 0.0
    for step, healthy, work in samples:
        now += step
        modes.update(now, healthy=healthy, reason="refused")
        if work == 0:
            modes.reconciled(now)
    for second in range(62):
        modes.update(now + second, healthy=True, reason="")
        modes.reconciled(now + second)
    assert modes.mode is CLUSTERED


@given(lists(floats(0.1, 2.0), min_size=1, max_size=80), integers(0, 3))
@settings(deadline=None)
def test_after_bad_health_for_long_enough_it_is_standalone(steps: list[float], falls: int) -> None:
    modes, now = clustered(), 0.0
    for _ in range(falls):
        fall(modes, now := now + 1.0 + modes.stay)
        rise(modes, now := now + 1.0 + modes.stay)
    ends = now + modes.stay
    for step in steps:
        now += step
        fall(modes, now)
        assert modes.mode is STANDALONE or now < ends


@pytest.mark.parametrize("wrong", [{"first": 0}, {"first": 61}, {"calm": 0}, {"quiet": -1}], ids=str)
def test_lengths_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Stays(**wrong)
