"""The relay of docker-compose.yml as tests run it: started in a network of their own, asked by probes and by hand."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.network import Network
from tests.support.program import Program, running_program
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually, in_time
from turn_probe import credentials, turn

ROOT = Path(__file__).parents[2]
NEW, OLD = "0123456789abcdef" * 4, "fedcba9876543210" * 4  # secrets


def composed(service: str, network: Network, secret: str, public: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """A service of docker-compose.yml and its environment, with the variables that people set filled in.

    `public` is the address that a 1:1 NAT gives the network, if there is one.
    """
    variables = {
        "AURALINK_ADDRESS": network.address,
        "AURALINK_TURN_SECRET": secret,
        "AURALINK_KEYS": f"first:{NEW}",
    }
    if public:
        variables["AURALINK_PUBLIC_ADDRESS"] = public
    found: dict[str, Any] = yaml.safe_load(filled(variables))["services"][service]
    return found, {name: "" if value is None else str(value) for name, value in found["environment"].items()}


def filled(variables: dict[str, str]) -> str:
    """The text of docker-compose.yml with variables in their places, those inside of another one's default first."""
    text, changed = (ROOT / "docker-compose.yml").read_text(), 1
    while changed:
        text, changed = re.subn(
            r"\$\{(\w+)(?::[-?]([^${}]*))?\}", lambda found: variables.get(found[1], found[2] or ""), text
        )
    return text


@asynccontextmanager
async def coturn(
    network: Network, folder: Path, secret: str = f"{NEW},{OLD}", public: str = ""
) -> AsyncIterator[Program]:
    """It, once it answers as its health check wants it; what the container mounts lies where it lies in this tree."""
    service, environment = composed("coturn", network, secret, public)
    (mount,) = service["volumes"]
    here, there, _ = mount.split(":")
    command = [part.replace(there, str(ROOT / here)) for part in service["entrypoint"]]
    check = network.command(*service["healthcheck"]["test"][1:])

    async def healthy(_: Program) -> bool:
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*check, stdout=quiet, stderr=quiet)
        try:
            return await in_time(process.wait(), 1.0) == 0
        except TimeoutError:
            process.kill()
            await process.wait()
            return False

    environment["TMPDIR"] = str(folder)
    async with running_program(network.command(*command), folder, healthy, environment=environment) as program:
        yield program


@asynccontextmanager
async def auralink(network: Network, secret: str = f"{NEW},{OLD}", public: str = "") -> AsyncIterator[RunningServer]:
    """AuraLink with all that docker-compose.yml tells it, but for Redis."""
    _, environment = composed("auralink", network, secret, public)
    del environment["AURALINK_REDIS_URL"]
    options = {"media_port": 7882, "turn_probe_interval": 1}
    async with running_server(network=network, environment=environment, **options) as server:
        yield server


async def probe(network: Network, *arguments: str) -> dict[str, Any]:
    """What `auralink probe` finds out inside the network about the one server."""
    command = [str(Path(sys.executable).with_name("auralink")), "probe", "--json", *arguments]
    process = await asyncio.create_subprocess_exec(*network.command(*command), stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    (found,) = json.loads(printed)["servers"]
    return dict(found)


async def finds_up(server: RunningServer, url: str) -> None:
    """Wait until AuraLink has found that a relay works."""
    name = f'auralink_turn_server_state{{server="{url}",state="up",transport="{url.rpartition("=")[2]}"}}'

    async def up() -> bool:
        return (await server.metrics()).get(name) == 1.0

    await eventually(up, 15.0)


def command_line(program: Program) -> str:
    """What everybody on the machine may read of it."""
    return Path(f"/proc/{program.pid}/cmdline").read_text()


def mode(file: Path) -> int:
    """Who may do what with it."""
    return file.stat().st_mode


def url(network: Network, transport: str = "udp", public: str = "") -> str:
    """Where AuraLink is told that the relay is."""
    _, environment = composed("auralink", network, NEW, public)
    return next(one for one in environment["AURALINK_TURN"].split(",") if one.endswith(transport))


class Client:
    """Somebody with credentials who asks over UDP for what `auralink probe` would not ask for."""

    def __init__(self, network: Network, user: str) -> None:
        self._socket = network.datagram_socket()
        self._server = (network.address, 3478)
        self._login = credentials.issue(NEW, user, time.time(), 60.0)
        self._key: turn.Key | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def allocates(self, *, ipv6: bool = False) -> int:
        """The error code of an answer; 0 if there is a relay now."""
        first = await self._asks(turn.allocate(os.urandom(12), None))
        self._key = turn.Key(self._login.username, self._login.password, first.realm, first.nonce)
        return (await self._asks(turn.allocate(os.urandom(12), self._key, ipv6=ipv6))).code

    async def binds(self, peer: turn.Address) -> int:
        """The error code of an answer; 0 if the relay talks to `peer` from now on."""
        return (await self._asks(turn.bind(os.urandom(12), self._key, turn.FIRST_CHANNEL, peer))).code

    async def _asks(self, message: bytes) -> turn.Reply:
        self._socket.sendto(message, self._server)
        async with asyncio.timeout(5.0):
            reply = turn.parse(await asyncio.get_running_loop().sock_recv(self._socket, 2000))
        assert isinstance(reply, turn.Reply)
        return reply
