"""What is believed of one server, from all its probes: slow to condemn, slower to believe again, never flapping.

Every `now` and length is in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .report import Report, Verdict
from .urls import Server

SMOOTHING = 0.3  # weight of the newest round trip


@dataclass(frozen=True, slots=True)
class Pace:
    """How often servers are probed, and how much it takes to change one's mind.

    A server that stops to relay right after a probe is found in at most 1.2 × `interval` + `fall` probes + twice
    `again`: 44.4 s if each of them takes the 5 s that it may.
    """

    interval: float = 22.0
    jitter: float = 0.2  # share of the interval, to both sides: so that instances do not probe at once
    again: float = 1.5  # after a first failure, or a first success of a server that had fallen
    fall: int = 3  # failures in a row
    rise: int = 2  # successes in a row
    shift: int = 3  # in a row that it is full or open, or is not, before it is handed out last, or no longer
    hold: float = 20.0  # a fallen server stays so at least; twice as long each time it falls again soon
    most_hold: float = 600.0
    calm: float = 300.0  # a server that fell longer ago is trusted as before
    keep: float = 600.0  # so long a list is kept at most because nothing at all answers

    def at_interval(self, interval: float) -> Pace:
        """The same, but for an interval that may be so short that nothing else has time in it."""
        return replace(self, interval=interval, again=min(self.again, interval / 2), hold=min(self.hold, interval))


class Standing:
    """One server over one transport. Until enough is known, the configuration is believed: it is usable."""

    def __init__(self, server: Server, pace: Pace, random: Callable[[], float], now: float) -> None:
        """`random` gives values from 0 to 1."""
        self.server = server
        self.usable = True
        self.second_choice = False  # full or open: handed out last
        self.state: Verdict | None = None  # None: not known yet
        self.last: Report | None = None
        self.since = now  # of `usable`
        self.round_trip: float | None = None  # smoothed
        self.login = 0
        self.measured = 0  # how many round trips
        self.failing_since: float | None = None
        self.reached_at: float | None = None  # it said something, be it a refusal
        self.refused_since: float | None = None  # by our own machine, which says nothing about it
        self._refusals = 0  # in a row
        self._others = 0  # how often in a row it was not what `second_choice` says
        self.due = now + random() * min(1.0, pace.again)
        self._pace, self._random = pace, random
        self._failures = self._successes = 0
        self._hold = pace.hold
        self._risen_at = now - pace.calm

    @property
    def in_trouble_since(self) -> float | None:
        """When it stopped to work, for whatever reason; None while it works."""
        return self.failing_since if self.failing_since is not None else self.refused_since

    @property
    def is_about_to_fall(self) -> bool:
        """Whether it falls if it fails once more."""
        return self.usable and self._failures + 1 >= self._pace.fall

    @property
    def is_falling(self) -> bool:
        """Whether it fails and has not fallen."""
        return self.usable and self.failing_since is not None

    @property
    def is_out_of_sight(self) -> bool:
        """Whether our machine lastingly has no way to it, so that nobody knows what it is: IPv6 for example."""
        return self._refusals >= self._pace.fall

    def take(self, report: Report, now: float, *, condemn: bool = True) -> None:
        """Learn from a probe that ended now. Unless it may `condemn`, no number of failures makes the server fall."""
        self.last = report
        pace = self._pace
        quickly = False
        if report.was_reached:
            self.reached_at = now - report.quiet
        if report.verdict is Verdict.OWN_NETWORK_BROKEN:  # says nothing about the server
            self.refused_since = now if self.refused_since is None else self.refused_since
            self._refusals += 1
        else:
            self.refused_since, self._refusals = None, 0
        if report.verdict is Verdict.OWN_NETWORK_BROKEN:
            pass
        elif report.verdict.usable:
            self._measure(report)
            self._shift(report.verdict is not Verdict.UP)
            self._failures, self.failing_since = 0, None
            self._successes += 1
            if self.usable:
                self.state = report.verdict
            elif self._successes >= pace.rise and now >= self.since + self._hold:
                self._turn(now, usable=True)
                self.state, self._risen_at = report.verdict, now
            else:
                quickly = self._successes < pace.rise
        else:
            self._successes = 0
            self._failures += 1
            self.failing_since = now if self.failing_since is None else self.failing_since
            if not self.usable:
                self.state = report.verdict
            elif self._failures < pace.fall:
                quickly = True
            elif condemn:
                self._fall(now, report.verdict)
        jitter = 1 - pace.jitter + 2 * pace.jitter * self._random()
        self.due = now + (pace.again if quickly else pace.interval * jitter)
        if not self.usable and self._successes:
            self.due = max(now + pace.again, min(self.due, self.since + self._hold))

    def hurry(self, now: float) -> None:
        """Probe it as soon as possible, unless it failed just now."""
        self.due = min(self.due, now if self.in_trouble_since is None else now + self._pace.again)

    def forgive(self) -> None:
        """Forget the failures of one that has not fallen: they said nothing about it."""
        self._refusals = 0
        if self.usable:
            self._failures, self.failing_since = 0, None

    def _fall(self, now: float, verdict: Verdict) -> None:
        pace = self._pace
        soon = now - self._risen_at < pace.calm
        self._hold = min(2 * self._hold, pace.most_hold) if soon else pace.hold
        self._turn(now, usable=False)
        self.state = verdict

    def _turn(self, now: float, *, usable: bool) -> None:
        self.usable, self.since = usable, now

    def _shift(self, full_or_open: bool) -> None:
        """What is seen first is believed at once, anything else only when it lasts."""
        if full_or_open is self.second_choice:
            self._others = 0
            return
        self._others += 1
        if self.state is None or self._others >= self._pace.shift:
            self.second_choice, self._others = full_or_open, 0

    def _measure(self, report: Report) -> None:
        if report.login is not None:
            self.login = report.login
        if report.round_trip is None:
            return
        self.measured += 1
        old = self.round_trip
        self.round_trip = report.round_trip if old is None else old + SMOOTHING * (report.round_trip - old)
