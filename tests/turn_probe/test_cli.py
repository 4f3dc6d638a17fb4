"""`auralink probe` says what works and what does not, from wherever it is run."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support import certificates
from tests.support.network import HOST, Network, neighbour, private_network
from tests.support.ports import free_port
from tests.support.server import running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import in_time

AURALINK = str(Path(sys.executable).with_name("auralink"))
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}


async def auralink_probe(
    *arguments: str, network: Network = HOST, secret: str = SECRET, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = network.command(AURALINK, "probe", *arguments)
    environment = ENVIRONMENT | ({"AURALINK_TURN_SECRET": secret} if secret else {}) | variables
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=40, env=environment
    )


async def told(*arguments: str, network: Network = HOST, secret: str = SECRET) -> list[dict[str, Any]]:
    """The servers of `--json`."""
    done = await auralink_probe("--json", *arguments, network=network, secret=secret)
    found: dict[str, Any] = json.loads(done.stdout)
    servers: list[dict[str, Any]] = found["servers"]
    assert done.returncode == (0 if all(server["healthy"] for server in servers) else 1)
    return servers


async def test_all_that_is_healthy_is_a_table_and_exit_code_0(tmp_path: Path) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as turn:
        urls = [turn.url("udp"), turn.url("tcp"), turn.url("tls"), turn.stun_url]
        done = await auralink_probe("--ca", str(pem.chain), *urls)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        for name in ("resolve", "connect", "challenge", "allocate", "bind", "echo", "release", "round trip", "lost"):
            assert name in lines[0]
        assert [line.split()[:2] for line in lines[1:5]] == [[url, "up"] for url in urls]
        assert f"{turn.stun_url}: sees us as 127.0.0.1" in lines


async def test_one_that_is_sick_is_exit_code_1_with_step_and_reason() -> None:
    async with TurnServer() as well, TurnServer(secret="another") as sick:
        done = await auralink_probe(well.url(), sick.url())
        assert done.returncode == 1
        assert f"{sick.url()}: credential_error at allocate: it refuses our credentials (401)" in done.stdout
        assert "✗" in done.stdout


async def test_a_secret_never_shows() -> None:
    async with TurnServer() as turn:
        done = await auralink_probe(turn.url(), "--json")
        assert SECRET not in done.stdout + done.stderr


async def test_json_has_every_step() -> None:
    async with TurnServer() as turn:
        (server,) = await told(turn.url())
        assert [step["step"] for step in server["steps"]] == [
            *("resolve", "connect", "challenge", "allocate", "bind", "echo", "release")
        ]
        assert (server["state"], server["healthy"], server["loss"], server["secret"]) == ("up", True, 0.0, 1)


async def test_the_media_port_of_a_server_with_the_same_secret_is_an_echo() -> None:
    port = free_port(socket.SOCK_DGRAM)
    async with (
        TurnServer() as turn,
        running_server(turn_secret=SECRET, turn=turn.url(), media_ip="127.0.0.1", media_port=port),
    ):
        assert (await told("--echo", f"127.0.0.1:{port}", turn.url()))[0]["state"] == "up"


async def test_a_stun_server_is_an_echo_and_a_port_where_nobody_is_none() -> None:
    async with TurnServer() as turn:
        assert (await told("--echo", f"127.0.0.1:{turn.port}", turn.url()))[0]["state"] == "up"
        assert (await told("--echo", "127.0.0.1:9", turn.url()))[0]["state"] == "relay_silent"


async def test_over_ipv6_it_asks_for_a_relay_with_an_ipv6_address() -> None:
    async with TurnServer(host="::1") as turn:
        for url in (turn.url("udp"), turn.url("tcp")):
            (server,) = await told(url)
            assert (server["state"], server["relayed_address"][0]) == ("up", "::1")
            assert (await told("--echo", f"[::1]:{turn.port}", url))[0]["state"] == "up"


async def test_fixed_credentials_serve_where_there_is_no_shared_secret() -> None:
    async with TurnServer("--user=ann:her password", "--lt-cred-mech", secret="") as turn:
        assert (await told("--user", "ann:her password", turn.url(), secret=""))[0]["state"] == "up"
        assert (await told("--user", "ann:guessed", turn.url(), secret=""))[0]["state"] == "credential_error"
        (server,) = await told("--user", "ann:her password", turn.url(), secret="no server's")
        assert (server["state"], server["secret"]) == ("up", 2)


async def test_without_options_the_fixed_credentials_of_the_server_are_used_and_its_media_port_answers() -> None:
    port = free_port(socket.SOCK_DGRAM)
    user = {"AURALINK_TURN_USER": "ann:her password"}
    async with (
        TurnServer("--user=ann:her password", "--lt-cred-mech", secret="") as turn,
        running_server(environment=user, turn=turn.url(), media_ip="127.0.0.1", media_port=port, turn_probe_interval=0),
    ):
        done = await auralink_probe("--json", "--echo", f"127.0.0.1:{port}", turn.url(), secret="", **user)
        assert json.loads(done.stdout)["servers"][0]["state"] == "up"
        done = await auralink_probe(turn.url(), secret="", AURALINK_TURN_USER="x")
        assert (done.returncode, done.stderr) == (
            2,
            "auralink probe: AURALINK_TURN_USER is not of the form NAME:PASSWORD.\n",
        )


@asynccontextmanager
async def behind_a_nat() -> AsyncIterator[tuple[Network, Network]]:
    """A network with an address for all to see, and one whose datagrams leave it under another address, 10.198.0.3."""
    with private_network() as network, neighbour(network) as behind:
        assert network.namespace
        assert behind.namespace, "this needs root, for iptables in a network namespace"
        for rule in (
            f"ip -n {behind.namespace} address add 10.198.0.3/24 dev cable",
            f"ip netns exec {behind.namespace} iptables -t nat -A POSTROUTING -s {behind.address} -o cable "
            "-j SNAT --to-source 10.198.0.3 --random",
            # Nothing that was not asked for passes a NAT.
            f"ip netns exec {behind.namespace} iptables -A INPUT -m conntrack --ctstate NEW -i cable -j DROP",
        ):
            await asyncio.to_thread(subprocess.run, rule.split(), check=True)
        yield network, behind


async def test_behind_a_nat_it_goes_from_relay_to_relay() -> None:
    async with behind_a_nat() as (network, behind), TurnServer(network=network) as turn:
        for transport in ("udp", "tcp"):
            (server,) = await told(turn.url(transport), network=behind)
            assert (server["state"], server["reason"]) == ("up", None)
            assert server["mapped_address"][0] == "10.198.0.3"
        await turn.sessions_end()


async def test_behind_a_nat_media_can_be_announced_where_others_see_it() -> None:
    async with (
        behind_a_nat() as (network, behind),
        TurnServer(network=network) as turn,
        running_server(network=behind, media_ip="auto", stun=turn.stun_url) as server,
    ):
        assert f"Media is announced at 10.198.0.3 for {behind.address}" in server.log


async def test_without_urls_those_of_the_server_are_probed_and_without_any_it_says_so() -> None:
    done = await auralink_probe()
    assert done.returncode == 2
    assert "Name one" in done.stderr
    for wrong in (["turn:"], ["http://x"], ["turn:x", "--echo", "x"], ["turn:x", "--user", "x"], ["--watch", "0"]):
        assert (await auralink_probe(*wrong)).returncode == 2


async def test_watch_probes_again_and_again() -> None:
    async with TurnServer() as turn:
        process = await asyncio.create_subprocess_exec(
            *(AURALINK, "probe", "--json", "--watch", "1", turn.url()),
            stdout=asyncio.subprocess.PIPE,
            env=ENVIRONMENT | {"AURALINK_TURN_SECRET": SECRET},
        )
        assert process.stdout
        rounds = [json.loads(await in_time(process.stdout.readline(), 20)) for _ in range(2)]
        process.terminate()
        await process.communicate()
        assert [found["servers"][0]["state"] for found in rounds] == ["up", "up"]
        assert rounds[1]["time"] - rounds[0]["time"] >= 1.0
