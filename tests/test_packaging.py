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


def compose() -> dict[str, Any]:
    """What docker-compose.yml says."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


SERVICES = [pytest.param(service, id=name) for name, service in compose()["services"].items()]


def test_the_compose_file_and_the_image_agree_on_ports_and_health() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    server = compose()["services"]["auralink"]
    assert server["build"]["dockerfile"] == "deploy/Dockerfile"
    assert re.findall(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE) == ["8080/tcp 7882/udp 7882/tcp"]
    assert "/health/live" in dockerfile
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE), "the server does not run as root"


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_runs_a_known_version_with_as_few_rights_as_it_can(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-alpine|-r\d+)?", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "build" in service or service["healthcheck"]["test"][0] == "CMD"
    written = [volume for volume in service.get("volumes", []) if volume.startswith(".") and not volume.endswith(":ro")]
    assert not written, "nothing of this tree is written to"


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_container_mounts_of_this_tree_exists(service: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for volume in service.get("volumes", [])]
    assert [path for path in mounted if path.startswith(".") and not (ROOT / path).exists()] == []
    assert {path for path in mounted if not path.startswith(".")} <= compose()["volumes"].keys()


def test_only_the_server_and_its_relay_listen_to_the_world() -> None:
    services = compose()["services"]
    assert [name for name, service in services.items() if service.get("network_mode") != "host"] == ["redis"]
    assert services["redis"]["ports"] == ["127.0.0.1:6379:6379"]
    assert "--web.listen-address=127.0.0.1:9091" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_the_server_waits_for_nothing_that_it_can_do_without() -> None:
    server = compose()["services"]["auralink"]
    assert "depends_on" not in server
    assert {name.removeprefix("AURALINK_") for name in server["environment"]} == {
        *("KEYS", "REDIS_URL", "HOST", "TRUSTED_PROXIES", "ADVERTISE_URL"),
        *("MEDIA_IP", "TURN", "TURN_SECRET", "SHUTDOWN_GRACE"),
    }


def test_docker_waits_longer_than_the_server_takes_to_end() -> None:
    server = compose()["services"]["auralink"]
    grace = float(server["environment"]["AURALINK_SHUTDOWN_GRACE"])
    assert float(server["stop_grace_period"].removesuffix("s")) >= 1.5 * grace


def test_an_instance_says_where_it_is_only_if_it_was_told() -> None:
    environment = compose()["services"]["auralink"]["environment"]
    assert environment["AURALINK_ADVERTISE_URL"] == "${AURALINK_ADVERTISE_URL:-}"


def test_redis_keeps_nothing_on_disk_and_refuses_sooner_than_it_forgets() -> None:
    redis = compose()["services"]["redis"]
    command = redis["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert redis["image"].startswith("redis:7.")
    assert (options["--save"], options["--appendonly"], options["--maxmemory-policy"]) == ("", "no", "noeviction")
    assert options["--maxmemory"]


def test_nobody_gets_into_grafana_without_the_password_that_was_set() -> None:
    environment = compose()["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_all_secrets_and_the_address_come_from_variables_that_must_be_set() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {"AURALINK_KEYS", "AURALINK_ADDRESS", "AURALINK_TURN_SECRET", "GRAFANA_PASSWORD"}
    assert all(f"{name}=" in (ROOT / "README.md").read_text() for name in required)
