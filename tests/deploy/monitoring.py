"""The rules, the dashboard and the metrics that they name, as tests look at them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
SOURCE = "".join(file.read_text() for folder in ("signalling", "sfu") for file in (ROOT / folder).glob("*.py"))
# Of the sharing of rooms through Redis: each is on the dashboard.
SHARING = {
    "circuit_breaker_state",
    "fallback_activations_total",
    "fallback_errors_total",
    "degraded_mode_duration_seconds",
    "degraded_mode_seconds_total",
    "auralink_mode",
    "auralink_reconcile_duration_seconds",
    "auralink_reconcile_conflicts_total",
    "auralink_replication_lag_seconds",
}
# Of the STUN and TURN servers: likewise.
RELAYS = {
    "auralink_turn_server_state",
    "auralink_turn_server_offered",
    "auralink_turn_round_trip_seconds",
    "auralink_turn_probes_total",
    "auralink_turn_probe_step_seconds",
    "auralink_turn_probe_cut_off",
    "auralink_ice_server_list_changes_total",
}
_NOT_NAMES = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\"[^\"]*\"")
_NAME = re.compile(r"(?<![\w.$])[a-z_][a-z0-9_]*(?!\w*\s*\()")
_OPERATORS = {"or", "and", "unless", "bool"}


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    loaded: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "auralink.json").read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard but for the rows that group them."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Title of the panel and query, with Grafana's variables filled in, of all queries of the dashboard."""
    filled = {"$__rate_interval": "1m", "$__range": "3h", "$instance": ".*"}
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in filled.items():
                query = query.replace(variable, value)
            yield panel["title"], query


def names_in(query: str) -> set[str]:
    """The metrics that a PromQL query reads."""
    return set(_NAME.findall(_NOT_NAMES.sub(" ", query))) - _OPERATORS


def exists(name: str) -> bool:
    """Whether a metric is Prometheus' own, one of every process, or named in the source of the server."""
    family = _family(name)
    return name == "up" or family.startswith("process_") or f'"{family}' in SOURCE or f'}}{family}"' in SOURCE


def _family(name: str) -> str:
    return re.sub(r"_(total|bucket|sum|count)$", "", name).removeprefix("auralink_")
