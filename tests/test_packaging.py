"""What is built and shipped is what was meant: the wheel, the versions, the lock files and the container."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all files in a wheel built from this tree."""
    builder = WheelBuilder(str(ROOT))
    (built,) = builder.build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def pins(lock: str) -> dict[str, str]:
    """Name and exact version of every package in a lock file."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert top == {"signalling", "sfu", "state", "turn_probe", "loadtest", "web", "auralink-0.1.0.dist-info"}


def test_the_wheel_brings_the_web_client_and_its_page(wheel: set[str]) -> None:
    in_tree = {
        str(file.relative_to(ROOT)) for file in (ROOT / "web").rglob("*.*") if file.suffix in {".js", ".html", ".css"}
    }
    assert in_tree
    assert in_tree <= wheel


def test_the_wheel_brings_the_scripts_that_redis_runs(wheel: set[str]) -> None:
    in_tree = {str(file.relative_to(ROOT)) for file in (ROOT / "state").rglob("*.lua")}
    assert in_tree
    assert in_tree <= wheel


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == PROJECT["project"]["version"]


def test_nobody_can_upload_this_application_as_a_library_by_accident() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_pins_everything_by_hash(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_the_lock_names_every_direct_dependency() -> None:
    wanted = {re.split(r"[^\w.-]", line)[0].lower() for line in PROJECT["project"]["dependencies"]}
    assert wanted <= pins("requirements.lock").keys()


def test_development_runs_with_the_versions_that_production_runs_with() -> None:
    development = pins("requirements-dev.lock")
    assert {name: development.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


def test_the_compose_file_and_the_image_agree_on_ports_and_health() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    (server,) = compose["services"].values()
    assert server["build"]["dockerfile"] == "deploy/Dockerfile"
    assert re.findall(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE) == ["8080/tcp 7882/udp"]
    assert "/health/live" in dockerfile
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE), "the server does not run as root"
