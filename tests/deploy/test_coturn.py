"""A real coturn, started as docker-compose.yml says, relays to AuraLink's media port and to nothing else of ours."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.network import Network

from .composed import NEW, OLD, ROOT, Client, auralink, command_line, coturn, finds_up, mode, probe, url

CONFIGURATION = (ROOT / "deploy" / "coturn" / "turnserver.conf").read_text()
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
# What coturn answers (RFC 8656 section 19).
FORBIDDEN, NO_SUCH_FAMILY, OTHER_FAMILY, QUOTA_REACHED = 403, 440, 443, 486


async def test_the_relay_reaches_the_media_port_and_auralink_finds_it_up(network: Network, tmp_path: Path) -> None:
    assert network.namespace, "this needs root: coturn and AuraLink have their usual ports"
    async with coturn(network, tmp_path), auralink(network) as server:
        for transport in ("udp", "tcp"):
            await finds_up(server, url(network, transport))


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


async def test_no_notation_of_ipv6_leads_to_a_private_ipv4_address(network: Network, tmp_path: Path) -> None:
    async with coturn(network, tmp_path):
        with Client(network, "eve") as eve:
            assert await eve.allocates(ipv6=True) == NO_SUCH_FAMILY
            assert await eve.allocates() == 0
            for peer in ("::ffff:169.254.169.254", "::ffff:10.199.0.2", "64:ff9b::a9fe:a9fe", "::1"):
                assert await eve.binds((peer, 80)) in (FORBIDDEN, OTHER_FAMILY)
            assert await eve.binds((network.address, 80)) == 0


async def test_nobody_takes_more_relays_than_a_browser_needs(network: Network, tmp_path: Path) -> None:
    async with coturn(network, tmp_path):
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(network, "eve")) for _ in range(25)]
            assert [await client.allocates() for client in clients] == [0] * 24 + [QUOTA_REACHED]
            assert await stack.enter_context(Client(network, "ada")).allocates() == 0


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
