"""Every packet that somebody publishes reaches everybody else in the room, exactly once.

The peers are synthetic and the server is real. Each payload names its track and its number, so that nothing is assumed
about sequence numbers: what one peer sent after everybody had begun to receive is looked up at each of the others.
"""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from loadtest import load, tokens
from loadtest.cli import describe
from loadtest.load import Load, Outcome
from loadtest.publication import Rates
from tests.support.server import running_server

pytestmark = pytest.mark.alone

# 20 x 19 x (50 + 30) = 30,000 deliveries per second: about half of what two busy cores carry.
RATES = Rates(video_bitrate=150_000, frame_rate=15, audio_bitrate=24_000)

BRIEFLY = 8.0  # seconds
LONG = 30.0


async def outcome_of(rooms: int, participants: int, duration: float, *, by_tcp: bool = False) -> Outcome:
    """Serve, and let all rooms talk at once."""
    async with running_server(log_level="warning") as server:
        url = server.websocket_url
        source = tokens.from_endpoint(tokens.endpoint_of(url))
        outcome = await load.run(
            Load([url], source, rooms=rooms, participants=participants, rates=RATES, duration=duration, by_tcp=by_tcp)
        )
        server_says = await server.metrics()
        assert server_says["auralink_tcp_connections_accepted_total"] == (rooms * participants if by_tcp else 0)
        assert server_says["auralink_send_failures_total"] == 0
        return outcome


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "duration", [pytest.param(BRIEFLY, id="briefly"), pytest.param(LONG, id="long", marks=pytest.mark.long)]
)
@pytest.mark.parametrize(("rooms", "participants"), [(1, 20), (20, 2)], ids=["20 in one room", "20 rooms of 2"])
def test_every_packet_reaches_every_other_participant_exactly_once(
    rooms: int, participants: int, duration: float
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(outcome_of(rooms, participants, duration))
    others = participants - 1
    assert outcome.is_perfect, "\n" + describe(outcome)
    # What is perfect is also as much as it should be: 50 packets of audio and 15 frames per second and participant.
    assert outcome.tracks_sent == 2 * rooms * participants
    assert outcome.sent >= 0.9 * rooms * participants * duration * (50 + 15)
    assert outcome.due == outcome.sent * others
    assert [report.errors for report in outcome.reports if report.errors] == []
    # Nothing came that was not asked for, was not ours, or came twice.
    assert sum(report.unknown + report.rejected + report.duplicates for report in outcome.reports) == 0


@pytest.mark.timeout(60)
def test_and_so_it_does_where_no_udp_gets_through() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(outcome_of(2, 5, 5.0, by_tcp=True))
    assert outcome.is_perfect, "\n" + describe(outcome)
    assert outcome.tracks_sent == 20
    assert outcome.due == outcome.sent * 4
    assert sum(report.blocked for report in outcome.reports) == 0
    assert [report.errors for report in outcome.reports if report.errors] == []
