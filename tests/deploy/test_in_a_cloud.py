"""Behind a 1:1 NAT the composition works with one more variable: people come by the public address, relays too."""

from __future__ import annotations

import re
from pathlib import Path

from .cloud import GATEWAY, OWN, PUBLIC, cloud, run_in
from .composed import NEW, ROOT, auralink, coturn, finds_up, probe, url

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
MEDIA = f"{PUBLIC}:7882"  # as clients are told it


async def test_people_in_the_world_reach_the_media_port_through_the_relay(tmp_path: Path) -> None:
    with cloud() as found:
        machine = found.machine
        async with coturn(machine, tmp_path, public=PUBLIC), auralink(machine, public=PUBLIC) as server:
            for transport in ("udp", "tcp"):
                relay = url(machine, transport, PUBLIC)
                assert relay == f"turn:{PUBLIC}:3478?transport={transport}"
                await finds_up(server, relay)
                there = await probe(found.world, "--secret", NEW, "--echo", MEDIA, relay)
                assert there["state"] == "up"


async def test_the_relay_reaches_nobody_else_in_the_private_network(tmp_path: Path) -> None:
    with cloud() as found:
        async with coturn(found.machine, tmp_path, public=PUBLIC) as program:
            relay = url(found.machine, public=PUBLIC)
            for peer in (f"{GATEWAY}:53", "169.254.169.254:80", "127.0.0.1:9090", "192.168.0.1:53"):
                there = await probe(found.world, "--secret", NEW, "--echo", peer, relay)
                assert (peer, there["state"]) == (peer, "peer_forbidden")
            assert re.findall(r"White listing: (\S+)", program.log) == [OWN]


async def test_without_a_hairpin_the_line_in_the_document_lets_auralink_see_its_relay(tmp_path: Path) -> None:
    (line,) = re.findall(r"^(iptables -t nat .*)$", DOCUMENT, re.MULTILINE)
    line = line.replace("$AURALINK_PUBLIC_ADDRESS", PUBLIC).replace("$AURALINK_ADDRESS", OWN)
    with cloud(hairpin=False) as found:
        machine = found.machine
        async with coturn(machine, tmp_path, public=PUBLIC), auralink(machine, public=PUBLIC) as server:
            relay = url(machine, public=PUBLIC)
            seen = await probe(machine, "--secret", NEW, relay)
            assert seen["state"] != "up"
            # People are not concerned: what their relay sends to the media port does not leave the machine.
            there = await probe(found.world, "--secret", NEW, "--echo", MEDIA, relay)
            assert there["state"] == "up"
            run_in(machine, line)
            await finds_up(server, relay)
