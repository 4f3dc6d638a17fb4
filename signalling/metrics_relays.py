"""Metrics of STUN and TURN servers: what each is, how long each step of a probe takes, and how often it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from turn_probe.fleet import Fleet
from turn_probe.report import Report, Verdict

from .metrics import PREFIX

STEP_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # seconds
UNKNOWN = "unknown"
STATES = (UNKNOWN, *(verdict.value for verdict in Verdict if verdict is not Verdict.OWN_NETWORK_BROKEN))


class RelayMetrics:
    """What `fleet` knows is read when somebody scrapes; what probes find is counted here."""

    def __init__(self, registry: CollectorRegistry, fleet: Fleet) -> None:
        registry.register(_FleetCollector(fleet))
        self._steps = Histogram(
            f"{PREFIX}turn_probe_step_seconds",
            "How long the steps of a probe took, those that failed too.",
            ["step"],
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self._probes = Counter(
            f"{PREFIX}turn_probes", "Probes, by what they found.", ["server", "transport", "result"], registry=registry
        )
        # There from the start, so that the first one is seen as a change.
        for server in fleet.standings:
            for verdict in Verdict:
                self._probes.labels(server.url, server.transport.value, verdict.value)

    def probed(self, report: Report) -> None:
        """Count a probe."""
        for step in report.steps:
            self._steps.labels(step.name).observe(step.seconds)
        self._probes.labels(report.server.url, report.server.transport.value, report.verdict.value).inc()


def watch_address(registry: CollectorRegistry, is_unknown: Callable[[], bool]) -> None:
    """Tell whether it is not known yet where media is to be announced."""
    gauge = Gauge(
        f"{PREFIX}media_address_unknown",
        "1 while no STUN server said how it sees this machine, so that media is announced at its own addresses.",
        registry=registry,
    )
    gauge.set_function(lambda: float(is_unknown()))


class _FleetCollector(Collector):
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        states = GaugeMetricFamily(
            f"{PREFIX}turn_server_state",
            "1 for the state of a STUN or TURN server, 0 for the others.",
            labels=["server", "transport", "state"],
        )
        offered = GaugeMetricFamily(
            f"{PREFIX}turn_server_offered", "Whether clients are told of a server.", labels=["server", "transport"]
        )
        times = GaugeMetricFamily(
            f"{PREFIX}turn_round_trip_seconds",
            "The round trip through a relay to the media port and back, or to a STUN server; smoothed.",
            labels=["server", "transport"],
        )
        handed_out = {offer.server for offer in (*self._fleet.offered.turn, *self._fleet.offered.stun)}
        for server, standing in self._fleet.standings.items():
            labels = [server.url, server.transport.value]
            now = UNKNOWN if standing.state is None else standing.state.value
            for state in STATES:
                states.add_metric([*labels, state], float(state == now))
            offered.add_metric(labels, float(server in handed_out))
            if standing.round_trip is not None:
                times.add_metric(labels, standing.round_trip)
        yield from (states, offered, times)
        yield CounterMetricFamily(
            f"{PREFIX}ice_server_list_changes", "Times that clients were told of other servers.", self._fleet.changes
        )
        yield GaugeMetricFamily(
            f"{PREFIX}turn_probe_cut_off",
            "1 while nothing answers, no TURN server and nothing else, so that the last list is kept.",
            float(self._fleet.cut_off),
        )
