"""What a scrape sees."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sfu.media_plane import MediaStats
from signalling import messages as m
from signalling.metrics import Metrics, Sizes


def samples(metrics: Metrics, stats: MediaStats) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.text(stats).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_errors_and_goodbyes_are_counted_by_code() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: Sizes(1, 2, 3))
    metrics.sent(m.Error(code="room_full", message=""), 1)
    metrics.sent(m.Goodbye(code="left", message="", resume=False), 2)
    seen = samples(metrics, MediaStats({}, {}))
    assert seen["auralink_errors_total", (("code", "room_full"),)] == 1
    assert seen["auralink_goodbyes_total", (("code", "left"),)] == 2
    assert seen["auralink_messages_sent_total", (("type", "goodbye"),)] == 2
    assert [seen[f"auralink_{name}", ()] for name in ("rooms", "participants", "sockets")] == [1, 2, 3]


def test_media_counters_are_exported_with_their_label_whatever_their_order() -> None:
    stats = MediaStats(
        counters={"dropped_total{reason=junk}": 1, "forwarded_total": 7, "dropped_total{reason=un known}": 2},
        gauges={"peers": 3.0, "not a name": 1.0},
    )
    metrics = Metrics(CollectorRegistry(), lambda: Sizes(0, 0, 0))
    seen = samples(metrics, stats)
    assert seen["auralink_dropped_total", (("reason", "junk"),)] == 1
    assert seen["auralink_dropped_total", (("reason", "un known"),)] == 2
    assert seen["auralink_forwarded_total", ()] == 7
    assert seen["auralink_peers", ()] == 3
    text = metrics.text(stats).decode()
    assert text.count("# HELP auralink_dropped_total ") == 1
    assert "_created" not in text


def test_a_scrape_says_which_version_runs_and_how_late_the_event_loop_is() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: Sizes(0, 0, 0), "1.2.3")
    metrics.loop_lag.observe(0.02)
    seen = samples(metrics, MediaStats({}, {}))
    assert seen["auralink_build_info", (("version", "1.2.3"),)] == 1
    assert seen["auralink_event_loop_lag_seconds_bucket", (("le", "0.025"),)] == 1
    assert seen["auralink_event_loop_lag_seconds_bucket", (("le", "0.01"),)] == 0


def test_every_limit_is_there_before_it_refuses_anybody() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: Sizes(0, 0, 0))
    metrics.limit_refused("joins_per_identity")
    seen = samples(metrics, MediaStats({}, {}))
    assert seen["auralink_limited_total", (("limit", "joins_per_identity"),)] == 1
    assert seen["auralink_limited_total", (("limit", "connections_per_address"),)] == 0


def test_two_instances_in_one_process_do_not_share_counters() -> None:
    one, other = (Metrics(CollectorRegistry(), lambda: Sizes(0, 0, 0)) for _ in range(2))
    one.internal_errors.inc()
    assert samples(other, MediaStats({}, {}))["auralink_internal_errors_total", ()] == 0
