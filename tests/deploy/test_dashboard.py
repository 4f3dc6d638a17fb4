"""The dashboard is one that Grafana takes, that a newcomer can read, and whose numbers exist."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from .monitoring import GRAFANA, RELAYS, SHARING, dashboard, exists, names_in, panels, queries

SHOWN = [pytest.param(panel, id=panel["title"]) for panel in panels()]
WIDTH = 24  # columns of a dashboard


def test_the_dashboard_is_of_a_known_schema_and_has_a_stable_address() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 39
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert board["title"]
    assert board["description"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_neither_overlap_nor_leave_the_page() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard()["panels"]]
    for title, at in places:
        assert at["x"] >= 0, title
        assert at["x"] + at["w"] <= WIDTH, title
        assert at["w"] > 0, title
        assert at["h"] > 0, title
    for (one, a), (other, b) in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, f"{one!r} and {other!r} overlap"


@pytest.mark.parametrize("panel", SHOWN)
def test_a_panel_has_a_title_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 30
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


def test_titles_are_unique() -> None:
    titles = [panel["title"] for panel in dashboard()["panels"]]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("panel", SHOWN)
def test_a_panel_asks_the_prometheus_that_is_chosen_on_the_page(panel: dict[str, Any]) -> None:
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert {"datasource", "instance"} == {variable["name"] for variable in dashboard()["templating"]["list"]}


@pytest.mark.parametrize("panel", SHOWN)
def test_a_panel_can_be_narrowed_to_some_instances(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        selectors = re.findall(r"\{[^}]*\}", target["expr"])
        assert selectors
        assert all('instance=~"$instance"' in selector for selector in selectors)


@pytest.mark.parametrize(("title", "query"), [*queries()])
def test_a_query_reads_metrics_that_are_known(title: str, query: str) -> None:
    assert names_in(query), title
    assert {name for name in names_in(query) if not exists(name)} == set()


def test_everything_that_tells_of_sharing_and_of_relays_is_shown() -> None:
    shown = " ".join(query for _, query in queries())
    assert {name for name in SHARING | RELAYS if name not in shown} == set()


def test_every_query_is_valid(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_is_told_of_the_dashboard_and_of_prometheus() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://127.0.0.1:9091", True)
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/auralink.yml").read_text())["providers"]
    assert provider["type"] == "file"
    compose = (GRAFANA.parents[1] / "docker-compose.yml").read_text()
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in compose
