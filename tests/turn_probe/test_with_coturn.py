"""Whatever can become of a coturn is provoked with a real one, and called by its name."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import certificates
from tests.support.network import private_network
from tests.support.ports import free_port
from tests.support.turn_server import SECRET, TurnServer, hold_relays, two_turn_servers
from tests.support.waiting import eventually
from turn_probe import credentials
from turn_probe.report import Verdict

from .conftest import QUICK, ProbeOf


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_one_that_relays_is_up_over_each_transport(probe: ProbeOf, tmp_path: Path, transport: str) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as server:
        report = await probe(server.url(transport), tls=pem.trust(), timing=QUICK)
        assert (report.verdict, report.reason, report.loss) == (Verdict.UP, "", 0.0)
        assert report.round_trip is not None
        assert not any(step.error for step in report.steps)
        await server.sessions_end()


async def test_it_is_a_stun_server_as_well(probe: ProbeOf) -> None:
    async with TurnServer() as server:
        report = await probe(server.stun_url)
        assert report.verdict is Verdict.UP
        assert report.mapped is not None
        assert report.mapped[0] == "127.0.0.1"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_one_that_was_killed_is_noticed_at_once(probe: ProbeOf, tmp_path: Path, transport: str) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as server:
        await server.kill()
        began = time.monotonic()
        report = await probe(server.url(transport), tls=pem.trust())
        assert report.verdict is Verdict.DOWN
        assert "refused" in report.reason
        assert time.monotonic() - began < 0.4  # less than any deadline


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_one_that_hangs_is_given_up_in_time_and_probed_again_when_it_goes_on(
    probe: ProbeOf, tmp_path: Path, transport: str
) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as server:
        server.stop()
        began = time.monotonic()
        report = await probe(server.url(transport), tls=pem.trust())
        assert report.verdict is Verdict.DOWN
        assert time.monotonic() - began < QUICK.whole + 0.5
        server.cont()

        async def is_up() -> bool:  # when it is through with what waited for it
            return (await probe(server.url(transport), tls=pem.trust())).verdict is Verdict.UP

        await eventually(is_up, 10.0)


async def test_another_secret_is_a_credential_error_unless_the_other_one_of_ours_fits(probe: ProbeOf) -> None:
    async with TurnServer(secret="changed") as server:
        report = await probe(server.url())
        assert (report.verdict, report.failed_step) == (Verdict.CREDENTIAL_ERROR, "allocate")
        report = await probe(server.url(), secrets=[SECRET, "changed"])
        assert (report.verdict, report.login) == (Verdict.UP, 1)


async def test_a_certificate_that_expired_is_told_from_one_that_nobody_signed(probe: ProbeOf, tmp_path: Path) -> None:
    expired = certificates.make(tmp_path, "expired", expired=True)
    async with TurnServer(pem=expired) as server:
        report = await probe(server.url("tls"), tls=expired.trust())
        assert (report.verdict, report.failed_step) == (Verdict.CERTIFICATE_EXPIRED, "connect")
        assert (await probe(server.url("tls"))).verdict is Verdict.TLS_ERROR


async def test_a_port_that_speaks_no_tls_is_a_tls_error(probe: ProbeOf) -> None:
    async with TurnServer() as server:
        report = await probe(f"turns:127.0.0.1:{server.port}")
        assert report.verdict in (Verdict.TLS_ERROR, Verdict.DOWN)
        assert report.failed_step == "connect"


async def test_a_used_up_quota_is_overload(probe: ProbeOf) -> None:
    async with TurnServer("--user-quota=2") as server:
        login = credentials.issue(SECRET, "probe", time.time(), 600.0)
        taken = await hold_relays(server, 2, login.username, login.password)
        try:
            report = await probe(server.url())
        finally:
            for transport in taken:
                transport.close()
        assert (report.verdict, report.failed_step) == (Verdict.OVERLOADED, "allocate")
        assert "486" in report.reason


async def test_relay_ports_that_are_all_taken_are_overload_too(probe: ProbeOf) -> None:
    port = free_port(socket.SOCK_DGRAM)
    async with TurnServer(f"--min-port={port}", f"--max-port={port}") as server:
        login = credentials.issue(SECRET, "somebody", time.time(), 600.0)
        (taken,) = await hold_relays(server, 1, login.username, login.password)
        try:
            report = await probe(server.url())
        finally:
            taken.close()
        assert (report.verdict, report.failed_step) == (Verdict.OVERLOADED, "allocate")
        assert "508" in report.reason


async def test_one_that_asks_for_no_credentials_is_an_open_relay(probe: ProbeOf) -> None:
    async with TurnServer("--no-auth", secret="") as server:
        assert (await probe(server.url())).verdict is Verdict.OPEN_RELAY


async def test_one_that_may_not_relay_to_us_is_forbidden(probe: ProbeOf) -> None:
    async with TurnServer("--denied-peer-ip=127.0.0.1") as server:
        report = await probe(server.url())
        assert (report.verdict, report.failed_step) == (Verdict.PEER_FORBIDDEN, "bind")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_one_that_sends_people_on_is_as_good_as_the_other_one(
    probe: ProbeOf, tmp_path: Path, transport: str
) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as other:
        alternates = [
            f"--alternate-server=127.0.0.1:{other.port}",
            f"--tls-alternate-server=127.0.0.1:{other.tls_port}",
        ]
        async with TurnServer(*alternates, pem=pem) as server:
            report = await probe(server.url(transport), tls=pem.trust())
            assert (report.verdict, report.reason) == (Verdict.UP, "")
            assert report.address == ("127.0.0.1", other.tls_port if transport == "tls" else other.port)
            await other.sessions_end()
            await other.kill()
            report = await probe(server.url(transport), tls=pem.trust())
            assert (report.verdict, report.was_sent_on) == (Verdict.DOWN, True)
            assert "refused" in report.reason


async def test_one_of_two_may_be_sick(probe: ProbeOf) -> None:
    async with two_turn_servers() as (first, second):
        await first.kill()
        assert [(await probe(one.url())).verdict for one in (first, second)] == [Verdict.DOWN, Verdict.UP]


async def test_one_that_allocates_and_does_not_relay_is_silent() -> None:
    """Its relay ports are blocked, as by a firewall whose rule was forgotten: in a network of its own."""
    with private_network() as network:
        assert network.namespace, "this needs root, for iptables in a network namespace"
        async with TurnServer(network=network) as server:
            inside = network.command(
                *(".venv/bin/auralink", "probe", "--json", f"--secret={SECRET}", server.url()),
            )
            assert '"state": "up"' in await _output(inside)
            first, last = server.relay_ports
            rule = f"iptables -A INPUT -p udp --dport {first}:{last} -j DROP"
            await asyncio.to_thread(subprocess.run, network.command(*rule.split()), check=True)
            told = await _output(inside)
            assert '"state": "relay_silent"' in told
            assert '"failed_step": "echo"' in told


async def _output(command: list[str]) -> str:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=30)
    return str(done.stdout)
