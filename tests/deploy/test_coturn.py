"""A real coturn, started as docker-compose.yml says, relays to AuraLink's media port and to nothing else of ours."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.network import Network
from tests.support.program import Program, running_program
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "deploy" / "coturn" / "turnserver.conf").read_text()
NEW, OLD = "0123456789abcdef" * 4, "fedcba9876543210" * 4
# Somebody else in the same network, and all that only looks like somebody in the world.
NOT_FOR_CLIENTS = [
    "10.199.0.2:7882",
    "127.0.0.1:9090",
    "169.254.169.254:80",
    "172.17.0.2:6379",
    "192.168.0.1:53",
    "100.64.0.1:53",
    "0.0.0.0:80",
    "224.0.0.251:5353",
    "255.255.255.255:67",
]


def composed(service: str, network: Network, secret: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A service of docker-compose.yml and its environment, with the variables that people set filled in."""
    variables = {
        "AURALINK_ADDRESS": network.address,
        "AURALINK_TURN_SECRET": secret,
        "AURALINK_KEYS": f"first:{NEW}",
    }
    text = (ROOT / "docker-compose.yml").read_text()
    filled = re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: variables.get(found[1], found[2] or ""), text)
    found: dict[str, Any] = yaml.safe_load(filled)["services"][service]
    return found, {name: str(value) for name, value in found["environment"].items()}


@asynccontextmanager
async def coturn(network: Network, folder: Path, secret: str = f"{NEW},{OLD}") -> AsyncIterator[Program]:
    """It, once it answers as its health check wants it; what the container mounts lies where it lies in this tree."""
    service, environment = composed("coturn", network, secret)
    (mount,) = service["volumes"]
    here, there, _ = mount.split(":")
    command = [part.replace(there, str(ROOT / here)) for part in service["entrypoint"]]
    check = network.command(*service["healthcheck"]["test"][1:])

    async def healthy(_: Program) -> bool:
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*check, stdout=quiet, stderr=quiet)
        try:
            return await asyncio.wait_for(process.wait(), 1.0) == 0
        except TimeoutError:
            process.kill()
            await process.wait()
            return False

    environment["TMPDIR"] = str(folder)
    async with running_program(network.command(*command), folder, healthy, environment=environment) as program:
        yield program


@asynccontextmanager
async def auralink(network: Network, secret: str = f"{NEW},{OLD}") -> AsyncIterator[RunningServer]:
    """AuraLink with all that docker-compose.yml tells it, but for Redis."""
    _, environment = composed("auralink", network, secret)
    del environment["AURALINK_REDIS_URL"]
    async with running_server(network=network, environment=environment, turn_probe_interval=1) as server:
        yield server


async def probe(network: Network, *arguments: str) -> dict[str, Any]:
    """What `auralink probe` finds out inside the network about the one server."""
    command = [str(Path(sys.executable).with_name("auralink")), "probe", "--json", *arguments]
    process = await asyncio.create_subprocess_exec(*network.command(*command), stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    (found,) = json.loads(printed)["servers"]
    return dict(found)


def command_line(program: Program) -> str:
    """What everybody on the machine may read of it."""
    return Path(f"/proc/{program.pid}/cmdline").read_text()


def mode(file: Path) -> int:
    """Who may do what with it."""
    return file.stat().st_mode


def url(network: Network, transport: str = "udp") -> str:
    """Where AuraLink is told that the relay is."""
    _, environment = composed("auralink", network, NEW)
    return next(one for one in environment["AURALINK_TURN"].split(",") if one.endswith(transport))


async def test_the_relay_reaches_the_media_port_and_auralink_finds_it_up(network: Network, tmp_path: Path) -> None:
    assert network.namespace, "this needs root: coturn and AuraLink have their usual ports"
    async with coturn(network, tmp_path), auralink(network) as server:
        for transport in ("udp", "tcp"):
            labels = f'server="{url(network, transport)}"'
            name = f'auralink_turn_server_state{{{labels},state="up",transport="{transport}"}}'

            async def up(name: str = name) -> bool:
                return (await server.metrics()).get(name) == 1.0

            await eventually(up, 15.0)


async def test_it_relays_to_no_other_private_address_and_to_no_metadata(network: Network, tmp_path: Path) -> None:
    assert network.namespace
    async with coturn(network, tmp_path):
        assert (await probe(network, "--secret", NEW, url(network)))["state"] == "up"
        for peer in NOT_FOR_CLIENTS:
            found = await probe(network, "--secret", NEW, "--echo", peer, url(network))
            assert (peer, found["state"]) == (peer, "peer_forbidden")
        # The world is not denied: it is only not there.
        found = await probe(network, "--secret", NEW, "--echo", "1.1.1.1:53", url(network))
        assert found["state"] == "relay_silent"


@pytest.mark.parametrize("secret", [NEW, OLD])
async def test_while_the_secret_is_changed_both_are_taken(secret: str, network: Network, tmp_path: Path) -> None:
    async with coturn(network, tmp_path):
        assert (await probe(network, "--secret", secret, url(network)))["state"] == "up"


async def test_strangers_get_nothing_and_nobody_reads_the_secret(network: Network, tmp_path: Path) -> None:
    async with coturn(network, tmp_path, NEW) as program:
        assert (await probe(network, "--secret", OLD, url(network)))["state"] == "credential_error"
        shown = command_line(program)
        assert shown.startswith("turnserver")
        assert NEW not in shown
        assert NEW not in program.log
        assert not mode(tmp_path / "turnserver.conf") & 0o077


async def test_coturn_understands_every_line_of_its_configuration(network: Network, tmp_path: Path) -> None:
    async with coturn(network, tmp_path) as program:
        assert "Bad configuration" not in program.log
        denied = re.findall(r"^denied-peer-ip=(\S+)$", CONFIGURATION, re.MULTILINE)
        assert [one for one in denied if f"Black listing: {one}\n" not in program.log] == []
        assert re.findall(r"White listing: (\S+)", program.log) == [network.address]


def test_the_configuration_limits_what_one_person_and_all_may_take() -> None:
    numbers = {name: int(value) for name, value in re.findall(r"^([\w-]+)=(\d+)$", CONFIGURATION, re.MULTILINE)}
    assert 0 < numbers["user-quota"] < numbers["total-quota"] < numbers["max-port"] - numbers["min-port"]
    assert 0 < numbers["stale-nonce"] <= 600


def test_no_secret_lies_in_the_tree() -> None:
    for file in (ROOT / "deploy" / "coturn").iterdir():
        assert not re.search(r"^(static-auth-secret|user|cli-password)=", file.read_text(), re.MULTILINE)
