"""The circuit breaker guard, promise by promise, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from state.guard import CircuitOpen, CircuitState, Guard, Limits, Outcome, Permit, Transition

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def call(guard: Guard, outcome: Outcome, at: float = 0.0, took: float = 0.0, reason: str = "refused") -> None:
    guard.record(guard.acquire(at), outcome, at + took, reason)


def opened(limits: Limits | None = None, at: float = 0.0) -> Guard:
    """A guard that has just opened by failures in a row."""
    guard = Guard("store", limits or Limits())
    for _ in range(guard.limits.max_failures):
        call(guard, Outcome.FAILURE, at)
    assert guard.state is OPEN
    return guard


def refusal(guard: Guard, now: float, *, early: bool = False) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as caught:
        guard.acquire(now, early=early)
    return caught.value


# ------------------------------------------------------------------------------------------------------ opening


def test_it_opens_at_the_last_of_the_failures_in_a_row() -> None:
    guard = Guard("store", Limits(max_failures=3))
    for outcome in (Outcome.FAILURE, Outcome.FAILURE):
        call(guard, outcome)
    assert (guard.state, guard.reason) == (CLOSED, "")
    call(guard, Outcome.FAILURE, reason="reset")
    assert (guard.state, guard.reason, guard.last_error) == (OPEN, "3 failures in a row: reset", "reset")


def test_a_success_begins_the_row_again() -> None:
    guard = Guard("store", Limits(max_failures=3))
    for outcome in [Outcome.FAILURE, Outcome.FAILURE, Outcome.SUCCESS] * 5:
        call(guard, outcome)
    assert guard.state is CLOSED


def test_what_is_ignored_neither_counts_nor_begins_the_row_again() -> None:
    guard = Guard("store", Limits(max_failures=3))
    for outcome in [*[Outcome.IGNORED] * 10, Outcome.FAILURE, Outcome.FAILURE, Outcome.IGNORED]:
        call(guard, outcome)
    assert guard.state is CLOSED
    call(guard, Outcome.FAILURE)
    assert guard.state is OPEN


def test_it_opens_when_half_of_enough_calls_fail() -> None:
    guard = Guard("store", Limits(max_failures=3, failure_share=0.5, min_calls=20, window=10))
    for second in range(19):
        call(guard, Outcome.FAILURE if second % 2 else Outcome.SUCCESS, second / 2)
    assert guard.state is CLOSED
    call(guard, Outcome.FAILURE, 9.5, reason="reset")
    assert (guard.state, guard.reason) == (OPEN, "10 of 20 calls in 10 s failed: reset")


def test_failures_that_are_far_apart_do_not_add_up() -> None:
    guard = Guard("store", Limits(max_failures=3, min_calls=20, window=10))
    for number in range(200):
        call(guard, Outcome.FAILURE if number % 2 else Outcome.SUCCESS, number * 0.6)
    assert guard.state is CLOSED


def test_it_opens_when_most_of_enough_calls_are_slow() -> None:
    guard = Guard("store", Limits(slow=0.5, slow_share=0.8, min_calls=20, window=10))
    for number in range(19):
        call(guard, Outcome.SUCCESS, number / 10, took=0.6 if number % 5 else 0.1)
    assert guard.state is CLOSED
    call(guard, Outcome.SUCCESS, 2.0, took=0.6)
    assert (guard.state, guard.reason) == (OPEN, "16 of 20 calls in 10 s took 0.5 s or more")
    assert (guard.counts["success"], guard.counts["slow"]) == (20, 16)


def test_a_call_is_slow_from_the_limit_on() -> None:
    guard = Guard("store", Limits(slow=0.5))
    for took in (0.49, 0.5, 0.51):
        call(guard, Outcome.SUCCESS, took=took)
    assert guard.counts["slow"] == 2


def test_without_a_limit_no_call_is_slow() -> None:
    guard = Guard("store", Limits(slow=None))
    for number in range(40):
        call(guard, Outcome.SUCCESS, number / 10, took=30.0)
    assert (guard.state, guard.counts["slow"]) == (CLOSED, 0)


def test_what_does_not_pass_by_itself_opens_at_once_and_says_why() -> None:
    guard = Guard("store", Limits(max_failures=3))
    call(guard, Outcome.FATAL, 7.0, reason="wrong password")
    assert (guard.state, guard.reason, guard.since) == (OPEN, "wrong password", 7.0)


def test_a_trial_may_find_what_does_not_pass_by_itself() -> None:
    guard = opened()
    guard.record(guard.acquire(30.0), Outcome.FATAL, 30.0, "wrong password")
    assert (guard.state, guard.reason) == (OPEN, "wrong password")


# --------------------------------------------------------------------------------------------- open, and trying


def test_it_is_tried_after_at_most_the_timeout_and_no_earlier_than_four_fifths_of_it() -> None:
    for luck, until in ((0.0, 24.0), (0.5, 27.0), (1.0, 30.0)):
        guard = Guard("store", Limits(max_failures=1, timeout=30), random=lambda luck=luck: luck)
        call(guard, Outcome.FAILURE)
        assert guard.opened_until == pytest.approx(until)
        assert refusal(guard, until - 0.1).retry_after == pytest.approx(0.1)
        assert guard.acquire(until).trial
        assert (guard.state, guard.opened_until) == (HALF_OPEN, None)


def test_who_is_refused_learns_why_and_when_to_ask_again() -> None:
    guard = opened(Limits(timeout=30, trial_timeout=5))
    refused = refusal(guard, 10.0)
    assert (refused.retry_after, refused.reason) == (20.0, "3 failures in a row: refused")
    guard.acquire(30.0)
    assert refusal(guard, 31.0).retry_after == 4.0  # by then the trial is answered or has failed
    assert guard.counts["rejected"] == 2


def test_a_closed_circuit_asks_nobody_to_wait() -> None:
    assert Guard("store", Limits()).retry_after(5.0) == 0.0


def test_the_canary_may_bring_the_trial_forward() -> None:
    guard = opened(Limits(timeout=30))
    refusal(guard, 1.0)
    permit = guard.acquire(1.0, early=True)
    assert permit.trial
    guard.record(permit, Outcome.SUCCESS, 1.1)
    assert (guard.state, guard.reason, guard.since) == (CLOSED, "", 1.1)


def test_a_trial_that_fails_opens_for_another_timeout() -> None:
    guard = opened(Limits(timeout=30))
    guard.record(guard.acquire(30.0), Outcome.FAILURE, 30.2, "loading")
    assert (guard.state, guard.reason, guard.opened_until) == (OPEN, "the trial failed: loading", 60.2)


def test_there_is_one_trial_at_a_time_also_for_the_canary() -> None:
    guard = opened()
    permit = guard.acquire(30.0)
    refusal(guard, 30.0)
    refusal(guard, 31.0, early=True)
    guard.record(permit, Outcome.SUCCESS, 31.0)
    assert not guard.acquire(31.0).trial


def test_a_slow_trial_has_failed_since_a_slow_dependency_is_what_it_was_opened_for() -> None:
    guard = opened(Limits(slow=0.5))
    guard.record(guard.acquire(30.0), Outcome.SUCCESS, 31.2)
    assert (guard.state, guard.reason) == (OPEN, "the trial took 1.2 s")


def test_a_cancelled_trial_gives_no_verdict_and_lets_the_next_one_begin() -> None:
    guard = opened()
    first = guard.acquire(30.0)
    guard.record(first, Outcome.IGNORED, 31.0)
    assert (guard.state, guard.retry_after(31.0)) == (HALF_OPEN, 0.0)
    second = guard.acquire(31.0)
    assert second.trial
    refusal(guard, 31.0)
    guard.record(first, Outcome.SUCCESS, 31.0)  # of a permit that was returned already
    assert (guard.state, guard.counts["late"]) == (HALF_OPEN, 1)
    guard.record(second, Outcome.SUCCESS, 32.0)
    assert guard.state is CLOSED


@pytest.mark.parametrize(
    "notice",
    [
        lambda guard: guard.tick(35.0),
        lambda guard: refusal(guard, 35.0),
        lambda guard: guard.record(Permit(0, False, 0.0), Outcome.SUCCESS, 35.0),
    ],
    ids=["by a tick", "by the next who asks", "by a result"],
)
def test_a_trial_that_never_returns_has_failed(notice: Callable[[Guard], None]) -> None:
    guard = opened(Limits(timeout=30, trial_timeout=5))
    guard.acquire(30.0)
    guard.tick(34.9)
    assert guard.state is HALF_OPEN
    notice(guard)
    assert (guard.state, guard.reason) == (OPEN, "the trial failed: no answer in 5 s")
    assert guard.opened_until == 65.0


def test_the_answer_to_a_trial_that_was_given_up_is_too_late() -> None:
    guard = opened(Limits(trial_timeout=5))
    permit = guard.acquire(30.0)
    guard.record(permit, Outcome.SUCCESS, 35.0)
    assert (guard.state, guard.counts["late"]) == (OPEN, 1)


# ------------------------------------------------------------------------------------------------- late results


def test_failures_of_calls_that_began_before_it_opened_do_not_keep_it_open() -> None:
    guard = Guard("store", Limits(max_failures=3, timeout=30))
    permits = [guard.acquire(0.0) for _ in range(10)]
    for second, permit in enumerate(permits):
        guard.record(permit, Outcome.FAILURE, float(second), "timeout")
    assert (guard.since, guard.opened_until) == (2.0, 32.0)
    assert (guard.counts["failure"], guard.counts["late"]) == (3, 7)


def test_a_success_of_a_call_that_began_before_it_opened_does_not_close_it() -> None:
    guard = Guard("store", Limits(max_failures=1))
    late = guard.acquire(0.0)
    call(guard, Outcome.FAILURE)
    guard.record(late, Outcome.SUCCESS, 1.0)
    trial = guard.acquire(30.0)
    guard.record(late, Outcome.SUCCESS, 30.0)
    assert guard.state is HALF_OPEN
    guard.record(trial, Outcome.FAILURE, 30.0)
    assert guard.state is OPEN


def test_failures_from_before_an_outage_do_not_open_it_again_after() -> None:
    guard = Guard("store", Limits(max_failures=1))
    late = guard.acquire(0.0)
    call(guard, Outcome.FAILURE)
    guard.record(guard.acquire(30.0), Outcome.SUCCESS, 30.0)
    guard.record(late, Outcome.FATAL, 31.0, "timeout")
    assert (guard.state, guard.last_error) == (CLOSED, "refused")


def test_closed_again_it_counts_from_nothing() -> None:
    guard = opened(Limits(max_failures=3, min_calls=4))
    guard.record(guard.acquire(1.0, early=True), Outcome.SUCCESS, 1.0)
    for outcome in (Outcome.FAILURE, Outcome.FAILURE):
        call(guard, outcome, 2.0)
    assert guard.state is CLOSED


# ---------------------------------------------------------------------------------------------------- operators


def test_forced_open_it_stays_so_whatever_happens() -> None:
    guard = Guard("store", Limits(timeout=30))
    permit = guard.acquire(0.0)
    guard.force_open(1.0, "maintenance")
    guard.record(permit, Outcome.SUCCESS, 2.0)
    for now in (2.0, 31.0, 1e6):
        guard.tick(now)
        assert refusal(guard, now).reason == refusal(guard, now, early=True).reason == "maintenance"
    assert (guard.state, guard.forced, guard.opened_until) == (OPEN, True, None)
    assert guard.retry_after(1e6) == 30.0  # there is no end to tell; nobody should ask more often


def test_forcing_open_ends_a_trial() -> None:
    guard = opened()
    permit = guard.acquire(30.0)
    guard.force_open(30.0, "maintenance")
    guard.record(permit, Outcome.SUCCESS, 31.0)
    assert (guard.state, guard.counts["late"]) == (OPEN, 1)


def test_forcing_open_what_is_open_changes_the_reason_only() -> None:
    seen: list[Transition] = []
    guard = Guard("store", Limits(max_failures=1), seen.append)
    call(guard, Outcome.FAILURE)
    guard.force_open(1.0, "maintenance")
    assert (guard.reason, guard.since, len(seen)) == ("maintenance", 0.0, 1)
    refusal(guard, 100.0)


def test_released_it_is_tried_at_once_and_not_simply_closed() -> None:
    guard = Guard("store", Limits())
    guard.force_open(1.0, "maintenance")
    guard.release(2.0)
    assert (guard.state, guard.forced, guard.retry_after(2.0)) == (OPEN, False, 0.0)
    assert guard.reason == "released but not tried yet"
    assert guard.acquire(2.0).trial


def test_there_is_nothing_to_release_where_nothing_was_forced() -> None:
    guard = opened(Limits(timeout=30))
    guard.release(1.0)
    assert guard.opened_until == 30.0


def test_reset_closes_and_forgets() -> None:
    guard = opened()
    guard.force_open(1.0, "maintenance")
    guard.reset(2.0)
    assert (guard.state, guard.forced, guard.reason, guard.last_error, guard.since) == (CLOSED, False, "", "", 2.0)
    assert not guard.acquire(2.0).trial


def test_reset_while_closed_forgets_failures_and_calls_under_way() -> None:
    guard = Guard("store", Limits(max_failures=2))
    permit = guard.acquire(0.0)
    call(guard, Outcome.FAILURE)
    guard.reset(1.0)
    guard.record(permit, Outcome.FAILURE, 1.0)
    call(guard, Outcome.FAILURE, 1.0)
    assert guard.state is CLOSED


def test_reset_while_closed_forgets_what_the_shares_are_of() -> None:
    guard = Guard("store", Limits(max_failures=9, min_calls=4))
    for _ in range(3):
        call(guard, Outcome.FAILURE)
    guard.reset(1.0)
    call(guard, Outcome.FAILURE, 1.0)
    assert guard.state is CLOSED


# ------------------------------------------------------------------------------------------------------ telling


def test_each_change_is_told_once_with_its_reason() -> None:
    seen: list[Transition] = []
    guard = Guard("store", Limits(max_failures=1, timeout=30), seen.append)
    call(guard, Outcome.FAILURE, 1.0)
    guard.record(guard.acquire(31.0), Outcome.FAILURE, 31.5, "loading")
    guard.record(guard.acquire(40.0, early=True), Outcome.SUCCESS, 40.1)
    assert seen == [
        Transition(1.0, CLOSED, OPEN, "1 failure: refused"),
        Transition(31.0, OPEN, HALF_OPEN, "a trial is due"),
        Transition(31.5, HALF_OPEN, OPEN, "the trial failed: loading"),
        Transition(40.0, OPEN, HALF_OPEN, "a trial is made early"),
        Transition(40.1, HALF_OPEN, CLOSED, "the trial succeeded"),
    ]


def test_a_listener_that_raises_harms_nobody() -> None:
    def raises(transition: Transition) -> None:
        raise RuntimeError(transition.reason)

    guard = Guard("store", Limits(max_failures=1), raises)
    call(guard, Outcome.FAILURE)
    guard.record(guard.acquire(30.0), Outcome.SUCCESS, 30.0)
    assert (guard.state, guard.listener_errors) == (CLOSED, 3)


def test_a_listener_finds_everything_settled_and_may_act_on_it() -> None:
    def stops_trials(transition: Transition) -> None:
        if transition.after is HALF_OPEN:
            refusal(guard, transition.at, early=True)
            guard.force_open(transition.at, "not now")

    guard = Guard("store", Limits(max_failures=1), stops_trials)
    call(guard, Outcome.FAILURE)
    assert refusal(guard, 30.0).reason == "not now"
    assert guard.listener_errors == 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_failures": 0}, {"min_calls": 0}, {"timeout": 0}, {"trial_timeout": -1}, {"window": 0}),
        *({"slow": 0}, {"slow_share": 0}, {"failure_share": 1.1}),
    ],
    ids=str,
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]
