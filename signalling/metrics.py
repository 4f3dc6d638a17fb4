"""Metrics of the control plane, and those of the media plane exported beside them.

What is shared with other instances is in metrics_shared.py, and what is known of relays in metrics_relays.py. The
registry is handed in, so that tests (and two instances in one process) do not share counters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sfu.media_plane import MediaStats

from . import messages as m

PREFIX = "auralink_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LIMITS = (
    *("joins_per_identity", "connections_per_identity", "connections_per_address", "failures_per_address"),
    *("messages_per_connection", "chats_per_session", "dev_tokens_per_address"),
    *("offers_per_session", "metadata_per_session", "message_bytes", "control_frames", "outbox"),
    *("admin_requests_per_key", "admin_failures_per_address"),
)
MIGRATIONS = ("room_moved", "shutting_down")
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
_NAME = re.compile(r"^(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)(?:\{(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)=(?P<value>[^{}]*)\})?$")


class Sizes(NamedTuple):
    """How much there is now."""

    rooms: int
    participants: int
    sockets: int


class Metrics:
    """What the control plane counts, and the text a scrape gets."""

    def __init__(self, registry: CollectorRegistry, sizes: Callable[[], Sizes], version: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry
        self._media = _MediaCollector()
        self.sizes = sizes
        registry.register(_SizeCollector(sizes))
        registry.register(self._media)
        build = Gauge(f"{PREFIX}build_info", "Always 1; the label says what runs.", ["version"], registry=registry)
        build.labels(version).set(1)
        ProcessCollector(registry=registry)  # memory, CPU time and open files
        self.errors = Counter(
            f"{PREFIX}errors", "Error messages sent to clients, by their code.", ["code"], registry=registry
        )
        self.goodbyes = Counter(
            f"{PREFIX}goodbyes", "Sessions and connections ended by the server, by code.", ["code"], registry=registry
        )
        self.messages = Counter(
            f"{PREFIX}messages_sent", "Messages sent to clients, by type.", ["type"], registry=registry
        )
        self.refused_connections = Counter(
            f"{PREFIX}connections_refused",
            "WebSocket connections refused before the upgrade, by code.",
            ["code"],
            registry=registry,
        )
        self.media_errors = Counter(
            f"{PREFIX}media_command_errors", "Media commands that failed, by code.", ["code"], registry=registry
        )
        self.limited = Counter(
            f"{PREFIX}limited", "Refusals because of a limit, by its name.", ["limit"], registry=registry
        )
        for limit in LIMITS:
            self.limited.labels(limit)
        self.moderation = Counter(
            f"{PREFIX}moderation_actions",
            "What moderators and operators did, by action.",
            ["action"],
            registry=registry,
        )
        self.loop_lag = Histogram(
            f"{PREFIX}event_loop_lag_seconds",
            "How much later than asked for the event loop woke up.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.redirects = Counter(f"{PREFIX}redirects", "Clients sent to the home of their room.", registry=registry)
        self.migrations = Counter(
            f"{PREFIX}migrations_asked", "Clients asked to go on elsewhere, by reason.", ["reason"], registry=registry
        )
        for reason in MIGRATIONS:
            self.migrations.labels(reason)
        self.internal_errors = Counter(
            f"{PREFIX}internal_errors", "Events at which the control plane itself failed.", registry=registry
        )

    def sent(self, message: m.Message, receivers: int) -> None:
        """Count a message to `receivers` clients."""
        self.messages.labels(str(type(message).__struct_config__.tag)).inc(receivers)
        if isinstance(message, m.Error):
            self.errors.labels(message.code).inc(receivers)
        elif isinstance(message, m.Goodbye):
            self.goodbyes.labels(message.code).inc(receivers)
        elif isinstance(message, m.Redirect):
            self.redirects.inc(receivers)
        elif isinstance(message, m.Migrate):
            self.migrations.labels(message.reason).inc(receivers)

    def moderated(self, action: str) -> None:
        """Count something a moderator did."""
        self.moderation.labels(action).inc()

    def media_failed(self, code: str) -> None:
        """Count a failed media command."""
        self.media_errors.labels(code).inc()

    def limit_refused(self, limit: str) -> None:
        """Count a refusal because of a limit."""
        self.limited.labels(limit).inc()

    def text(self, media: MediaStats) -> bytes:
        """All metrics in Prometheus' text format, with the media plane's as of `media`."""
        self._media.stats = media
        return generate_latest(self._registry)


class _SizeCollector(Collector):
    def __init__(self, sizes: Callable[[], Sizes]) -> None:
        self._sizes = sizes

    def collect(self) -> Iterable[Metric]:
        sizes = self._sizes()
        yield GaugeMetricFamily(f"{PREFIX}rooms", "Rooms hosted here.", sizes.rooms)
        yield GaugeMetricFamily(f"{PREFIX}participants", "Participants hosted here.", sizes.participants)
        yield GaugeMetricFamily(f"{PREFIX}sockets", "Open WebSocket connections.", sizes.sockets)


class _MediaCollector(Collector):
    stats = MediaStats({}, {})

    def collect(self) -> Iterable[Metric]:
        yield from _families(self.stats.counters, CounterMetricFamily)
        yield from _families(self.stats.gauges, GaugeMetricFamily)


def _families(
    values: Mapping[str, float], family: type[CounterMetricFamily] | type[GaugeMetricFamily]
) -> Iterable[Metric]:
    """One family per name, whatever the order of its labelled values. Names that are none are left out."""
    grouped: dict[str, list[tuple[str, str, float]]] = {}
    for key, value in values.items():
        found = _NAME.match(key)
        if found:
            grouped.setdefault(found["name"], []).append((found["label"] or "", found["value"] or "", value))
    for name, entries in grouped.items():
        label = next((entry[0] for entry in entries if entry[0]), "")
        help = f"Media plane: {name.removesuffix('_total').replace('_', ' ')}."
        metric = family(f"{PREFIX}{name}", help, labels=[label] if label else [])
        for _, text, value in entries:
            metric.add_metric([text] if label else [], value)
        yield metric
