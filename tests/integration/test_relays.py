"""A whole server beside real TURN servers: what it hands out follows what it measured, and everybody is told."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection

from tests.support.network import Network
from tests.support.server import RunningServer, running_server
from tests.support.turn_server import SECRET, TurnServer, two_turn_servers
from tests.support.waiting import eventually
from turn_probe.urls import parse

QUICKLY = {"turn_probe_interval": 1, "turn_secret": SECRET}


class Listener:
    """A client that keeps the newest message of each type."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.heard: dict[str, dict[str, Any]] = {}

    async def hears(self, kind: str, within: float = 20.0) -> dict[str, Any]:
        """The next message of this type."""
        async with asyncio.timeout(within):
            while True:
                message: dict[str, Any] = json.loads(await self._socket.recv())
                self.heard[message["type"]] = message
                if message["type"] == kind:
                    return message


async def token_for(server: RunningServer, identity: str) -> str:
    body = json.dumps({"room": "lab", "name": identity, "identity": identity}).encode()
    answer = await server.request("/api/dev/token", "POST", body, {"Content-Type": "application/json"})
    assert answer.status == 200, quote(answer.body)
    return str(json.loads(answer.body)["token"])


@asynccontextmanager
async def joined(server: RunningServer, identity: str, **wish: Any) -> AsyncIterator[Listener]:
    token = await token_for(server, identity)
    async with server.websocket() as socket:
        await socket.send(json.dumps({"type": "join", "token": token, **wish}))
        yield Listener(socket)


def turn_urls(message: dict[str, Any]) -> list[str]:
    """The TURN servers among what a message hands out."""
    return [url for entry in message["ice_servers"] for url in entry["urls"] if url.startswith("turn")]


async def is_known(server: RunningServer, url: str, state: str) -> None:
    """Wait until the server has measured that of the STUN or TURN server at this URL."""
    transport = parse(url).transport.value
    name = f'auralink_turn_server_state{{server="{url}",state="{state}",transport="{transport}"}}'

    async def measured() -> bool:
        return (await server.metrics()).get(name) == 1.0

    await eventually(measured, 20.0, every=0.1)


async def test_through_the_relay_the_media_port_answers_and_the_server_is_up() -> None:
    async with TurnServer() as turn, running_server(turn=turn.url(), stun=turn.stun_url, **QUICKLY) as server:
        # Each is probed on its own, and either may be known first.
        await is_known(server, turn.url(), "up")
        await is_known(server, turn.stun_url, "up")
        metrics = await server.metrics()
        labels = f'server="{turn.url()}",transport="udp"'
        assert 0 < metrics[f"auralink_turn_round_trip_seconds{{{labels}}}"] < 0.5
        assert metrics[f"auralink_turn_server_offered{{{labels}}}"] == 1.0
        assert metrics['auralink_turn_probe_step_seconds_count{step="echo"}'] >= 1
        found = json.loads((await server.request("/health/detailed")).body)
        assert found["status"] == "pass"
        assert [one["observedValue"] for one in found["checks"]["turn:servers"]] == ["up", "up"]


async def test_a_media_port_that_has_ipv6_only_is_reached_through_a_relay_that_has() -> None:
    async with (
        TurnServer(host="::1") as turn,
        running_server(turn=turn.url(), stun=turn.stun_url, media_ip="::1", **QUICKLY) as server,
    ):
        await is_known(server, turn.url(), "up")
        assert (await server.metrics())['auralink_turn_probe_step_seconds_count{step="echo"}'] >= 1


async def test_when_the_only_relay_dies_everybody_is_told_and_again_when_it_returns() -> None:
    async with TurnServer() as turn, running_server(turn=turn.url(), stun=turn.stun_url, **QUICKLY) as server:
        await is_known(server, turn.url(), "up")
        async with joined(server, "ada") as ada:
            assert turn_urls(await ada.hears("welcome")) == [turn.url()]
            await turn.kill()
            died = time.monotonic()
            told = await ada.hears("ice_servers")
            assert turn_urls(told) == []
            assert told["ice_servers"] == [{"urls": [turn.stun_url]}]
            notice = (await ada.hears("degraded"))["degradation"]
            assert time.monotonic() - died < 5.0
            assert (notice["dependency"], notice["mode"]) == ("turn", "stun-only")
            assert "refused" in notice["reason"]
            answer = await server.request("/health/detailed")
            assert answer.headers["X-Degraded-Mode"] == "true"
            assert answer.headers["X-Fallback-Used"] == "stun-only"
            assert json.loads(answer.body)["status"] == "warn"
            metrics = await server.metrics()
            assert metrics['fallback_activations_total{fallback="stun-only",service="auralink"}'] == 1.0
            assert metrics['degraded_mode_duration_seconds{service="auralink"}'] > 0.0

            async with joined(server, "bob", relay_only=True) as bob:
                assert (await bob.hears("error"))["code"] == "turn_unavailable"

            await turn.start()
            assert turn_urls(await ada.hears("ice_servers")) == [turn.url()]
            assert (await ada.hears("recovered"))["dependency"] == "turn"
            assert "X-Degraded-Mode" not in (await server.request("/health/detailed")).headers


async def test_one_of_two_that_hangs_leaves_the_list_and_nobody_is_alarmed() -> None:
    async with (
        two_turn_servers() as (first, second),
        running_server(turn=f"{first.url()},{second.url()}", **QUICKLY) as server,
    ):
        await is_known(server, first.url(), "up")
        await is_known(server, second.url(), "up")
        async with joined(server, "ada") as ada:
            assert sorted(turn_urls(await ada.hears("welcome"))) == sorted([first.url(), second.url()])
            first.stop()
            assert turn_urls(await ada.hears("ice_servers")) == [second.url()]
            first.cont()
            assert sorted(turn_urls(await ada.hears("ice_servers"))) == sorted([first.url(), second.url()])
            assert "degraded" not in ada.heard


async def test_a_server_with_the_old_secret_gets_credentials_made_with_it() -> None:
    async with (
        TurnServer(secret="new") as first,
        TurnServer(secret="old") as second,
        running_server(turn=f"{first.url()},{second.url()}", turn_secret="new,old", turn_probe_interval=1) as server,
    ):
        await is_known(server, first.url(), "up")
        await is_known(server, second.url(), "up")
        async with joined(server, "ada") as ada:
            entries = (await ada.hears("welcome"))["ice_servers"]
            assert [len(entry["urls"]) for entry in entries] == [1, 1]
            assert entries[0]["credential"] != entries[1]["credential"]


async def test_probes_have_credentials_as_clients_have_them() -> None:
    """So that a TURN server whose clock is wrong is condemned if clients cannot use it, and only then."""
    lifetime = 1234
    async with (
        TurnServer() as turn,
        running_server(turn=turn.url(), turn_secret=SECRET, turn_probe_interval=1, turn_lifetime=lifetime) as server,
    ):
        await is_known(server, turn.url(), "up")
        now = time.time()
        valid_until = {int(found) for found in re.findall(r"user <(\d+):probe>", turn.log)}
        assert valid_until
        assert all(lifetime - 30 < until - now <= lifetime for until in valid_until)


async def test_a_fixed_login_is_measured_and_handed_out_as_it_is() -> None:
    async with (
        TurnServer("--lt-cred-mech", "--user=ann:her password", secret="") as fixed,
        TurnServer() as shared,
        running_server(
            turn=f"{fixed.url()},{shared.url()}",
            turn_secret=SECRET,
            turn_user="ann:her password",
            turn_probe_interval=1,
            log_level="debug",
        ) as server,
    ):
        await is_known(server, fixed.url(), "up")
        await is_known(server, shared.url(), "up")
        async with joined(server, "ada") as ada:
            by_url = {entry["urls"][0]: entry for entry in (await ada.hears("welcome"))["ice_servers"]}
            assert (by_url[fixed.url()]["username"], by_url[fixed.url()]["credential"]) == ("ann", "her password")
            assert ":" in by_url[shared.url()]["username"]
        assert "her password" not in server.log


@pytest.mark.parametrize("interval", [1, pytest.param(22, marks=[pytest.mark.long, pytest.mark.timeout(180)])])
async def test_one_that_allocates_and_does_not_relay_is_found_within_45_seconds(
    interval: int, network: Network
) -> None:
    assert network.namespace, "this needs root, for iptables in a network namespace"
    async with (
        TurnServer(network=network) as turn,
        running_server(
            network=network, turn=turn.url(), turn_secret=SECRET, turn_probe_interval=interval, media_ip=network.address
        ) as server,
    ):
        await is_known(server, turn.url(), "up")
        async with joined(server, "ada") as ada:
            assert turn_urls(await ada.hears("welcome")) == [turn.url()]
            first, last = turn.relay_ports
            # A probe's own socket may have a port among these: what the server answers to it must arrive.
            rule = f"iptables -A INPUT -p udp --dport {first}:{last} ! --sport {turn.port} -j DROP"
            await asyncio.to_thread(subprocess.run, network.command(*rule.split()), check=True)
            broke = time.monotonic()
            assert turn_urls(await ada.hears("ice_servers", within=60.0)) == []
            assert time.monotonic() - broke < 45.0
            assert "came back through the relay" in (await ada.hears("degraded"))["degradation"]["reason"]
