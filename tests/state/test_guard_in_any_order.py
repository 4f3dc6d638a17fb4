"""The guard under calls, results, operators and time in any order: its promises hold after every step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, sampled_from

from state.guard import CircuitOpen, CircuitState, Guard, Limits, Outcome, Permit, Transition

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
LIMITS = Limits(max_failures=2, timeout=30, trial_timeout=5, slow=1.0, window=10, min_calls=4)
ARROWS = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED), (OPEN, CLOSED)}


@dataclass
class Call:
    """A call under way, and the epoch that it began in; with the epoch its result lost its worth."""

    permit: Permit
    epoch: tuple[int, int]


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.seen: list[Transition] = []
        self.luck = 0.0
        self.guard = Guard("store", LIMITS, self.seen.append, lambda: self.luck, self.now)
        self.under_way: list[Call] = []
        self.forced = False
        self.fresh_starts = 0  # resets, and trials that came back without a verdict
        self.recorded = self.refused = self.given_up = 0

    # ------------------------------------------------------------------------------------------- what the test knows

    def epoch(self) -> tuple[int, int]:
        return len(self.seen), self.fresh_starts

    def live_trial(self) -> Call | None:
        """The trial that is still to be waited for."""
        live = [call for call in self.under_way if call.permit.trial and call.epoch == self.epoch()]
        assert len(live) <= 1, "two trials at once"
        return live[0] if live else None

    def let_time_tell(self) -> None:
        """Tick, and see that exactly a trial that has had its time is given up."""
        trial, changes = self.live_trial(), len(self.seen)
        self.guard.tick(self.now)
        if trial and self.now >= trial.permit.at + LIMITS.trial_timeout:
            self.given_up += 1
            assert [(change.before, change.after) for change in self.seen[changes:]] == [(HALF_OPEN, OPEN)]
        else:
            assert len(self.seen) == changes

    # ---------------------------------------------------------------------------------------------------- what happens

    @rule(seconds=sampled_from([0.0, 0.3, 1.0, 5.0, 24.0, 30.0]) | floats(0, 40), luck=floats(0, 1))
    def wait(self, seconds: float, luck: float) -> None:
        self.now += seconds
        self.luck = luck

    @rule()
    def tick(self) -> None:
        self.let_time_tell()

    @rule(early=booleans(), callers=integers(1, 4))
    def ask(self, early: bool, callers: int) -> None:
        self.let_time_tell()
        for _ in range(callers):
            state, until, trial = self.guard.state, self.guard.opened_until, self.live_trial()
            due = until is None or self.now >= until
            if self.forced or trial or (state is OPEN and not early and not due):
                with pytest.raises(CircuitOpen) as refused:
                    self.guard.acquire(self.now, early=early)
                self.refused += 1
                assert 0 <= refused.value.retry_after <= LIMITS.timeout
                assert refused.value.reason == self.guard.reason != ""
            else:
                permit = self.guard.acquire(self.now, early=early)
                assert permit.trial == (state is not CLOSED)
                self.under_way.append(Call(permit, self.epoch()))

    @precondition(lambda self: self.under_way)
    @rule(which=integers(0, 1000), outcome=sampled_from(Outcome))
    def end(self, which: int, outcome: Outcome) -> None:
        self.let_time_tell()
        call = self.under_way.pop(which % len(self.under_way))
        worth = call.epoch == self.epoch()
        before, changes, late = self.guard.state, len(self.seen), self.guard.counts["late"]
        self.guard.record(call.permit, outcome, self.now, "an error")
        self.recorded += 1
        assert self.guard.counts["late"] - late == (not worth)
        slow = self.now - call.permit.at >= (LIMITS.slow or 0)
        if not worth or outcome is Outcome.IGNORED:
            assert (self.guard.state, len(self.seen)) == (before, changes)
            self.fresh_starts += worth and call.permit.trial
        elif call.permit.trial:
            assert self.guard.state is (CLOSED if outcome is Outcome.SUCCESS and not slow else OPEN)
        elif outcome is Outcome.FATAL:
            assert self.guard.state is OPEN
        elif outcome is Outcome.SUCCESS and self.guard.state is OPEN:
            assert "calls in 10 s" in self.guard.reason  # a success opens by shares only

    @rule()
    def force_open(self) -> None:
        self.guard.force_open(self.now, "maintenance")
        self.forced = True
        assert (self.guard.state, self.guard.reason) == (OPEN, "maintenance")

    @rule()
    def release(self) -> None:
        before = self.guard.state
        self.guard.release(self.now)
        self.forced = False
        assert self.guard.state is before

    @rule()
    def reset(self) -> None:
        self.guard.reset(self.now)
        self.forced = False
        self.fresh_starts += 1
        assert (self.guard.state, self.guard.last_error) == (CLOSED, "")

    @rule()
    def the_dependency_is_well_again(self) -> None:
        """From wherever this is, one timeout and one good trial close the circuit, unless an operator holds it open."""
        self.now += max(LIMITS.timeout, LIMITS.trial_timeout)
        self.ask(early=False, callers=1)
        if not self.forced and self.guard.state is not CLOSED:
            trial = self.live_trial()
            if trial is None:  # the old trial was given up just now, which opened the circuit again
                self.now += LIMITS.timeout
                self.ask(early=False, callers=1)
                trial = self.live_trial()
            assert trial is not None
            self.under_way.remove(trial)
            self.guard.record(trial.permit, Outcome.SUCCESS, self.now)
            self.recorded += 1
            assert self.guard.state is CLOSED

    # ------------------------------------------------------------------------------------------- what is always true

    @invariant()
    def there_is_never_more_than_one_trial(self) -> None:
        if self.live_trial():
            assert self.guard.state is HALF_OPEN

    @invariant()
    def forced_open_is_open(self) -> None:
        assert self.guard.forced == self.forced
        if self.forced:
            assert (self.guard.state, self.guard.opened_until) == (OPEN, None)

    @invariant()
    def an_open_circuit_is_tried_in_time(self) -> None:
        until = self.guard.opened_until
        assert (until is not None) == (self.guard.state is OPEN and not self.forced)
        assert until is None or until <= max(self.now, self.guard.since + LIMITS.timeout)

    @invariant()
    def the_reason_is_there_when_something_is_wrong(self) -> None:
        assert bool(self.guard.reason) == (self.guard.state is not CLOSED)

    @invariant()
    def the_changes_form_a_chain(self) -> None:
        state = CLOSED
        for change in self.seen:
            assert change.before is state
            assert (change.before, change.after) in ARROWS
            assert change.after is not CLOSED or change.reason in {"the trial succeeded", "reset"}
            assert change.before is not OPEN or change.after is not CLOSED or change.reason == "reset"
            state = change.after
        assert state is self.guard.state

    @invariant()
    def every_call_is_counted_once(self) -> None:
        counts = self.guard.counts
        assert counts["rejected"] == self.refused
        ended = counts["success"] + counts["failure"] + counts["ignored"] + counts["late"]
        assert ended == self.recorded + self.given_up
        assert counts["slow"] <= counts["success"]


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
