"""A packet that the network loses on the way to the server, or from it, is sent again until it is there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import uvloop

from loadtest import load, tokens
from loadtest.cli import describe
from loadtest.load import Load, Outcome
from loadtest.publication import Rates
from tests.support.server import running_server
from tests.support.udp_proxy import Conditions, udp_proxy

LOSS = 0.03
RATES = Rates(video_bitrate=600_000, frame_rate=30)


async def outcome_over(up: Conditions, down: Conditions, ready: Path) -> Outcome:
    """Two cameras and their receivers, with a bad network between them and the server."""
    async with udp_proxy(("127.0.0.1", 9), up, down) as proxy:
        announced = f"127.0.0.1=127.0.0.1:{proxy.address[1]}"
        async with running_server(media_ip=announced, ready_file=ready) as server:
            ports = json.loads(await asyncio.to_thread(ready.read_text))
            proxy.server = ("127.0.0.1", ports["media_port"])
            source = tokens.from_endpoint(tokens.endpoint_of(server.websocket_url))
            return await load.run(
                Load([server.websocket_url], source, publish=("camera",), rates=RATES, duration=5.0, drain=5.0)
            )


@pytest.mark.parametrize(
    ("up", "down"), [(LOSS, 0.0), (0.0, LOSS), (LOSS, LOSS)], ids=["to the server", "from the server", "both ways"]
)
def test_every_video_packet_arrives_though_some_are_lost(up: float, down: float, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(
            outcome_over(Conditions(0.01, loss=up), Conditions(0.01, loss=down), tmp_path / "ready.json")
        )
    assert not outcome.failures
    assert outcome.delivered == outcome.due > 500, "\n" + describe(outcome)
    repaired = sum(report.repaired for report in outcome.reports)
    retransmitted = sum(report.retransmitted for report in outcome.reports)
    assert repaired > 0 or not down
    assert retransmitted > 0 or not up
    # A packet lost on the way to the server is missed by the server and by the receivers, and both ask for it. Nothing
    # else may come twice.
    assert outcome.repeated <= retransmitted
