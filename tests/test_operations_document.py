"""docs/operations.md and README.md name what there is: options, metrics, limits and lines of the log."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from signalling.config import Settings, flag_of
from signalling.metrics import LIMITS

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
SOURCE = "".join(
    file.read_text() for folder in ("signalling", "sfu", "state", "turn_probe") for file in (ROOT / folder).glob("*.py")
)
OTHER_FLAGS = {f"--{name}" for name in ("help", "build", "participants", "duration", "strict")}
OTHER_FLAGS |= {f"--{name}" for name in ("admin-api", "identity", "room", "ttl", "media")}
OTHER_FLAGS |= {"--config", "--web"}  # of Prometheus
OTHER_FLAGS |= {"--to-destination"}  # of iptables
OTHER_FLAGS |= {"--require-hashes", "--requirement", "--no-deps", "--no-build-isolation"}  # of pip
OTHER_FLAGS |= {"--now", "--unit", "--follow", "--detach", "--directory"}  # of systemd, Docker and http.server
OTHER_FLAGS |= {"--json", "--watch", "--ca", "--echo"}  # of auralink probe


@pytest.mark.parametrize("name", ["docs/operations.md", "README.md"])
def test_every_option_that_is_named_exists(name: str) -> None:
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text()))
    assert flags - {flag_of(option.name) for option in dataclasses.fields(Settings)} - OTHER_FLAGS == set()


def test_every_limit_is_told() -> None:
    assert {limit for limit in LIMITS if f"`{limit}`" not in DOCUMENT} == set()


def test_every_line_of_the_log_that_is_told_exists() -> None:
    lines = re.findall(r"^\| (`.*`) \|", DOCUMENT.partition("## 9. The log")[2].partition("## 10.")[0], re.MULTILINE)
    told = [line for row in lines for line in re.findall(r"`([^`]+)`", row)]
    assert len(told) > 10
    assert [line for line in told if f'"{line}' not in SOURCE] == []


def test_every_metric_that_is_told_exists() -> None:
    told = {name.removeprefix("auralink_") for name in re.findall(r"auralink_[a-z_]+", DOCUMENT)}
    assert {name for name in told if name.removesuffix("_total") not in SOURCE} == set()
