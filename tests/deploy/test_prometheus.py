"""The alert rules are valid, call when they should and no sooner, and say what to do."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from signalling.config import DEFAULT_ADMIN_BIND

from .monitoring import PROMETHEUS, ROOT, exists, names_in, rules

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()


def promtool(*arguments: str) -> str:
    """What promtool says about files of deploy/prometheus."""
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", "rules.yml")


def test_the_rules_do_what_their_own_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


def test_the_configuration_is_valid_and_finds_the_rules() -> None:
    assert "1 rule files found" in promtool("check", "config", "prometheus.yml")


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    fires = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}
    assert fires == {(rule["alert"], outcome) for rule in rules() for outcome in (True, False)}


def test_prometheus_asks_where_the_server_serves_its_operators_and_listens_elsewhere() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    served = f"{DEFAULT_ADMIN_BIND.host}:{DEFAULT_ADMIN_BIND.port}"
    assert [target for each in job["static_configs"] for target in each["targets"]] == [served]
    own = re.findall(r"--web\.listen-address=(\S+)", (PROMETHEUS / "prometheus.yml").read_text())
    assert own
    assert served not in own


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_tells_how_bad_it_is_what_it_means_and_where_to_read_what_to_do(
    rule: dict[str, dict[str, str]],
) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert file == "docs/operations.md"
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", DOCUMENT, re.MULTILINE)}
    assert anchor == str(rule["alert"]).lower()
    assert anchor in headings


def test_the_document_tells_of_no_alert_that_does_not_exist() -> None:
    chapter = DOCUMENT.partition("## 8. ")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (\w+)$", chapter, re.MULTILINE)) == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_reads_metrics_that_are_known(rule: dict[str, str]) -> None:
    names = names_in(rule["expr"])
    assert names
    assert {name for name in names if not exists(name)} == set()


def test_the_alert_on_the_breaker_is_the_one_that_half_open_trials_do_not_reset() -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "CircuitNotClosed")
    assert rule["expr"] == 'max by (service, dependency) (circuit_breaker_state{state="closed"}) == 0'
    assert (rule["for"], rule["labels"]["severity"]) == ("5m", "warning")
