"""The circuit breaker guard: it decides from how earlier calls to a dependency went whether the next one may go out.

Whoever wants to call asks for a permit, makes the call, and records how it went. pybreaker, which cannot be put around
an `await`, is used as the table of states and the counter of failures in a row, and is told each outcome afterwards
(docs/decisions/0013-breaker-guard.md). A guard neither waits nor locks: it belongs to one event loop. Every `now` and
`at` is in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from .recent_calls import RecentCalls

NEVER = 1e9  # seconds; pybreaker must not half-open by itself, and by the wall clock at that


class CircuitState(Enum):
    """Whether calls go out: all, none, or one to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


_STATES = {
    STATE_CLOSED: CircuitState.CLOSED,
    STATE_OPEN: CircuitState.OPEN,
    STATE_HALF_OPEN: CircuitState.HALF_OPEN,
}


class Outcome(Enum):
    """What a call says about the dependency."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"  # nothing: it was cancelled, or the error is the caller's own
    FATAL = "fatal"  # waiting will not mend it, such as a wrong password: opens at once


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call, given at `at`; results of an older generation than the guard's count for nothing."""

    generation: int
    trial: bool
    at: float


class CircuitOpen(Exception):
    """The call may not go out: `reason` says why, and in `retry_after` seconds the next trial is due."""

    def __init__(self, retry_after: float, reason: str) -> None:
        super().__init__(f"{reason} (try again in {retry_after:.1f} s)")
        self.retry_after = retry_after
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """When a circuit opens and how it is tried; all times in seconds. Raises ValueError for what makes no sense."""

    max_failures: int = 3  # in a row
    timeout: float = 30.0  # at most from opening to a trial
    trial_timeout: float = 5.0  # a trial not answered by then has failed; else one lost answer would block for ever
    slow: float | None = None  # a success that took this long counts as slow; None: none does
    slow_share: float = 0.8  # of the calls in the window
    failure_share: float = 0.5  # likewise
    window: float = 10.0
    min_calls: int = 20  # in the window, below which shares mean nothing

    def __post_init__(self) -> None:
        if min(self.max_failures, self.min_calls) < 1:
            raise ValueError("max_failures and min_calls must be at least 1")
        if min(self.timeout, self.trial_timeout, self.window) <= 0 or (self.slow is not None and self.slow <= 0):
            raise ValueError("timeout, trial_timeout, window and slow must be more than 0 s")
        if not (0 < self.slow_share <= 1 and 0 < self.failure_share <= 1):
            raise ValueError("slow_share and failure_share must be more than 0 and at most 1")


@dataclass(frozen=True)
class Transition:
    """A change of state, and why."""

    at: float
    before: CircuitState
    after: CircuitState
    reason: str


def _tell_nobody(transition: Transition) -> None:
    pass


def _no_jitter() -> float:
    return 1.0


class Guard:
    """The circuit to one dependency. `random` gives values from 0 to 1 and shortens the time open by up to a fifth, so
    that many instances do not try at once; without it that time is exactly `limits.timeout`."""

    def __init__(
        self,
        dependency: str,
        limits: Limits,
        listener: Callable[[Transition], None] = _tell_nobody,
        random: Callable[[], float] = _no_jitter,
        now: float = 0.0,
    ) -> None:
        self.dependency = dependency
        self.limits = limits
        self.forced = False  # held open by an operator
        self.reason = ""  # why it is not closed
        self.since = now  # when the present state began
        self.opened_until: float | None = None  # when a trial is due; None unless open and not forced
        self.last_error = ""
        self.listener_errors = 0
        self._listener = listener
        self._random = random
        self._breaker = CircuitBreaker(
            fail_max=limits.max_failures, reset_timeout=NEVER, throw_new_error_on_trip=False, name=dependency
        )
        self._recent = RecentCalls(limits.window)
        self._generation = 0
        self._trial: Permit | None = None
        self._counts = dict.fromkeys(("success", "failure", "ignored", "rejected", "late", "slow"), 0)

    # ------------------------------------------------------------------------------------------------ questions

    @property
    def state(self) -> CircuitState:
        """Closed, open or half-open. An open circuit whose trial is due stays open until somebody asks for it."""
        return _STATES[self._breaker.current_state]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many calls ended in `success` (of these `slow`), `failure` or `ignored`, were `rejected`, or ended
        `late`. They only grow."""
        return MappingProxyType(self._counts)

    def retry_after(self, now: float) -> float:
        """Seconds until asking again makes sense: 0 if closed. A circuit that is forced open has no known end;
        `limits.timeout` is as good as any."""
        if self.forced:
            return self.limits.timeout
        if self._trial:
            return max(0.0, self._trial.at + self.limits.trial_timeout - now)
        return max(0.0, self.opened_until - now) if self.opened_until is not None else 0.0

    # ---------------------------------------------------------------------------------------------------- calls

    def acquire(self, now: float, *, early: bool = False) -> Permit:
        """Leave to make one call, which must be recorded whatever becomes of it. With `early` an open circuit is tried
        before its time. Raises CircuitOpen."""
        self.tick(now)
        if self.state is CircuitState.CLOSED:
            return Permit(self._generation, trial=False, at=now)
        if self._may_try(now, early):
            if self.state is CircuitState.OPEN:
                self._breaker.half_open()
                self._moved(now, CircuitState.OPEN, "a trial is made early" if early else "a trial is due")
            else:  # the last trial came back without a verdict
                self._trial = Permit(self._generation, trial=True, at=now)
            if self._trial:  # unless the listener stopped it
                return self._trial
        self._counts["rejected"] += 1
        raise CircuitOpen(self.retry_after(now), self.reason)

    def record(self, permit: Permit, outcome: Outcome, now: float, reason: str = "") -> None:
        """Say how the call that `permit` allowed has ended, once."""
        self.tick(now)
        if permit.generation != self._generation:
            self._counts["late"] += 1
        elif outcome is Outcome.SUCCESS:
            self._succeeded(permit, now)
        elif outcome is Outcome.IGNORED:
            self._counts["ignored"] += 1
            if permit.trial:
                self._trial = None
                self._generation += 1  # so that this permit is worth nothing beside the next trial's
        else:
            self._failed(permit, now, reason or "no reason given", fatal=outcome is Outcome.FATAL)

    def tick(self, now: float) -> None:
        """Give up a trial that has had its time; `acquire` and `record` do so as well."""
        if self._trial and now >= self._trial.at + self.limits.trial_timeout:
            self._failed(self._trial, now, f"no answer in {self.limits.trial_timeout:g} s")

    # ------------------------------------------------------------------------------------------------ operators

    def force_open(self, now: float, reason: str) -> None:
        """Let no call out until `release` or `reset`, whatever is recorded."""
        self.forced = True
        if (before := self.state) is CircuitState.OPEN:
            self.reason, self.opened_until = reason, None
        else:
            self._breaker.open()
            self._moved(now, before, reason)

    def release(self, now: float) -> None:
        """End `force_open`: the circuit is still open, and a trial is due at once."""
        if self.forced:
            self.forced = False
            self.reason, self.opened_until = "released but not tried yet", now

    def reset(self, now: float) -> None:
        """Close the circuit, forced open or not, and forget all errors. Calls under way count for nothing."""
        before = self.state
        self.forced = False
        self.last_error = ""
        self._breaker.close()
        if before is CircuitState.CLOSED:
            self._generation += 1
            self._recent.clear()
        else:
            self._moved(now, before, "reset")

    # ------------------------------------------------------------------------------------------------- verdicts

    def _may_try(self, now: float, early: bool) -> bool:
        if self.forced or self._trial:
            return False
        return early or self.opened_until is None or now >= self.opened_until

    def _succeeded(self, permit: Permit, now: float) -> None:
        slow = self.limits.slow is not None and now - permit.at >= self.limits.slow
        self._counts["success"] += 1
        self._counts["slow"] += slow
        if not permit.trial:
            self._feed(failed=False)
            self._recent.add(now, slow=slow)
            self._open_on_shares(now)
        elif slow:  # closing on it would open again as soon as there are calls enough
            self._feed(failed=True)
            self._moved(now, CircuitState.HALF_OPEN, f"the trial took {now - permit.at:.1f} s")
        else:
            self._feed(failed=False)
            self._moved(now, CircuitState.HALF_OPEN, "the trial succeeded")

    def _failed(self, permit: Permit, now: float, reason: str, *, fatal: bool = False) -> None:
        self._counts["failure"] += 1
        self.last_error = reason
        before = self.state
        if fatal:
            self._breaker.open()
        else:
            self._feed(failed=True)
        if self.state is CircuitState.CLOSED:
            self._recent.add(now, failed=True)
            self._open_on_shares(now)
        elif fatal:
            self._moved(now, before, reason)
        elif permit.trial:
            self._moved(now, before, f"the trial failed: {reason}")
        else:
            row = self.limits.max_failures
            self._moved(now, before, f"{row} failures in a row: {reason}" if row > 1 else f"1 failure: {reason}")

    def _open_on_shares(self, now: float) -> None:
        limits, recent = self.limits, self._recent
        if recent.calls < limits.min_calls:
            return
        if recent.failed >= limits.failure_share * recent.calls:
            why = f"{recent.failed} of {recent.calls} calls in {limits.window:g} s failed: {self.last_error}"
        elif limits.slow is not None and recent.slow >= limits.slow_share * recent.calls:
            why = f"{recent.slow} of {recent.calls} calls in {limits.window:g} s took {limits.slow:g} s or more"
        else:
            return
        self._breaker.open()
        self._moved(now, CircuitState.CLOSED, why)

    def _feed(self, *, failed: bool) -> None:
        """Tell pybreaker an outcome: it counts failures in a row, opens at the last one, and judges a trial."""
        with suppress(_CallFailed):
            self._breaker.call(_fail if failed else _succeed)

    def _moved(self, now: float, before: CircuitState, why: str) -> None:
        """Settle all that follows from pybreaker's change of state, and only then tell the listener."""
        after = self.state
        self._generation += 1
        self._trial = Permit(self._generation, trial=True, at=now) if after is CircuitState.HALF_OPEN else None
        self._recent.clear()
        self.since = now
        self.opened_until = None
        if after is CircuitState.OPEN:
            self.reason = why
            if not self.forced:
                self.opened_until = now + self.limits.timeout * (0.8 + 0.2 * self._random())
        elif after is CircuitState.CLOSED:
            self.reason = ""
        try:
            self._listener(Transition(now, before, after, why))
        except Exception:
            self.listener_errors += 1  # counted, not raised: whoever made the call has done nothing wrong


class _CallFailed(Exception):
    """Stands for the error of a call; which one it was makes no difference to pybreaker."""


def _fail() -> None:
    raise _CallFailed


def _succeed() -> None:
    pass
