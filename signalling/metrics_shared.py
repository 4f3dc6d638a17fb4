"""Metrics of what is shared with other instances: circuits, degraded modes, and how far the others are known.

Most of it is kept by the machines themselves and read when somebody scrapes; only what changes is counted here. The
names without the prefix are those by which alert rules know the metrics of any service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from state.guard import CircuitState, Guard
from state.modes import Mode
from state.news import CircuitMoved, ModeMoved, News
from state.sharing import Sharing

from .degradation import NAMES_OF_FALLBACKS
from .episodes import Episodes
from .metrics import PREFIX

SERVICE = "auralink"
CONFLICTS = ("flag", "metadata", "grant", "ban", "removal", "ended", "identity")
RECONCILE_BUCKETS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 30.0, 60.0)  # seconds


class SharedMetrics:
    """What the sharing of rooms counts. `sharing` is None on an instance that is alone by choice."""

    def __init__(
        self, registry: CollectorRegistry, sharing: Sharing | None, episodes: Episodes, clock: Callable[[], float]
    ) -> None:
        """`clock` gives seconds on the monotonic clock of `sharing` and `episodes`."""
        self._sharing = sharing
        registry.register(_StateCollector(sharing, episodes, clock))
        self._transitions = Counter(
            "circuit_breaker_transitions",
            "Changes of a circuit's state, by the new one.",
            ["dependency", "to"],
            registry=registry,
        )
        self._modes = Counter(
            f"{PREFIX}mode_changes", "Changes of the mode, by the new one.", ["mode"], registry=registry
        )
        self._errors = Counter(
            "fallback_errors",
            "Events at which the control plane failed while a fallback stood in.",
            ["service", "fallback"],
            registry=registry,
        )
        self._conflicts = Counter(
            f"{PREFIX}reconcile_conflicts",
            "What instances had changed apart from each other, by kind, when it met.",
            ["kind"],
            registry=registry,
        )
        self._reconciling = Histogram(
            f"{PREFIX}reconcile_duration_seconds",
            "From the store's return until everything was exchanged.",
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        # There from the start, so that the first one is seen as a change.
        if sharing is not None:
            for state in CircuitState:
                self._transitions.labels(sharing.guard.dependency, state.value)
        for mode in Mode:
            self._modes.labels(mode.value)
        for fallback in NAMES_OF_FALLBACKS:
            self._errors.labels(SERVICE, fallback)
        for kind in CONFLICTS:
            self._conflicts.labels(kind)

    def heard(self, news: News) -> None:
        """Count what changed."""
        if self._sharing is None:
            return
        match news:
            case CircuitMoved(moved):
                self._transitions.labels(self._sharing.guard.dependency, moved.after.value).inc()
            case ModeMoved(change) if change.mode is not change.before:
                self._modes.labels(change.mode.value).inc()
                while self._sharing.reconciliation.seconds:
                    self._reconciling.observe(self._sharing.reconciliation.seconds.popleft())

    def conflicted(self, kind: str, count: int) -> None:
        """Count values, or sessions of one identity, that came to be apart from each other and met."""
        self._conflicts.labels(kind).inc(count)

    def failed(self, fallbacks: Iterable[str]) -> None:
        """Count a fault of ours while these stood in."""
        for fallback in fallbacks:
            self._errors.labels(SERVICE, fallback).inc()


class _StateCollector(Collector):
    def __init__(self, sharing: Sharing | None, episodes: Episodes, clock: Callable[[], float]) -> None:
        self._sharing = sharing
        self._episodes = episodes
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        now, sharing = self._clock(), self._sharing
        yield from _circuits([] if sharing is None else [sharing.guard])
        yield from self._degraded(now)
        mode = Mode.SINGLE if sharing is None else sharing.modes.mode
        modes = GaugeMetricFamily(f"{PREFIX}mode", "1 for the mode in force, 0 for the others.", labels=["mode"])
        for one in Mode:
            modes.add_metric([one.value], float(one is mode))
        yield modes
        lag = 0.0 if sharing is None else max(0.0, sharing.ours.lag(now))
        yield GaugeMetricFamily(
            f"{PREFIX}replication_lag_seconds", "Age of the oldest change here that the store does not have.", lag
        )
        others = 0 if sharing is None else sum(map(sharing.members.is_live, sharing.members.nodes))
        yield GaugeMetricFamily(
            f"{PREFIX}nodes", "Instances that share rooms, this one included, as the store last said.", 1 + others
        )
        events = CounterMetricFamily(f"{PREFIX}sharing", "What came to pass while sharing, by event.", labels=["event"])
        if sharing is not None:
            for event, count in (*sharing.counts.items(), ("notes_lost", sharing.notes.lost)):
                events.add_metric([event], count)
        yield events

    def _degraded(self, now: float) -> Iterable[Metric]:
        activations = CounterMetricFamily(
            "fallback_activations", "How often a degraded mode began, by what stood in.", labels=["service", "fallback"]
        )
        for fallback in NAMES_OF_FALLBACKS:
            activations.add_metric([SERVICE, fallback], self._episodes.activations[fallback])
        yield activations
        present = GaugeMetricFamily(
            "degraded_mode_duration_seconds",
            "For how long something has been away without a break; 0 if nothing is.",
            labels=["service"],
        )
        present.add_metric([SERVICE], self._episodes.present(now))
        yield present
        total = CounterMetricFamily(
            "degraded_mode_seconds", "For how long something was away, in all.", labels=["service"]
        )
        total.add_metric([SERVICE], self._episodes.total(now))
        yield total


def _circuits(guards: Iterable[Guard]) -> Iterable[Metric]:
    states = GaugeMetricFamily(
        "circuit_breaker_state",
        "1 for the state of the circuit to a dependency, 0 for the others.",
        labels=["service", "dependency", "state"],
    )
    calls = CounterMetricFamily(
        "circuit_breaker_calls", "Calls to a dependency, by outcome.", labels=["dependency", "outcome"]
    )
    slow = CounterMetricFamily(
        "circuit_breaker_slow_calls", "Of the calls that succeeded, those that took long.", labels=["dependency"]
    )
    for guard in guards:
        for state in CircuitState:
            states.add_metric([SERVICE, guard.dependency, state.value], float(guard.state is state))
        for outcome, count in guard.counts.items():
            if outcome == "slow":
                slow.add_metric([guard.dependency], count)
            else:
                calls.add_metric([guard.dependency, outcome], count)
    yield from (states, calls, slow)
