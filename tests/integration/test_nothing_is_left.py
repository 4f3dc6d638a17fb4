"""Of participants who have left nothing stays: no task, no open file, and no memory that grows with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
import uvloop

from loadtest import tokens
from loadtest.peer import Peer
from loadtest.publication import Rates
from loadtest.ticker import Ticker
from sfu.dtls import Certificate
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

KEYS = "left:a-secret-of-at-least-thirty-two-bytes"
RATES = Rates(video_bitrate=200_000, frame_rate=15)
WAVE = 10
# Participants until every pool and cache has its size.
SETTLED = 100
GAUGES = (
    *("participants", "rooms", "sockets", "media_peers", "media_tracks", "media_slots"),
    *("media_handshakes_running", "media_own_queues"),
)

pytestmark = pytest.mark.alone


@dataclass(frozen=True)
class Left:
    """What the server holds when nobody is there."""

    tasks: float
    files: float
    memory: int


async def after_everybody_left(server: RunningServer) -> Left:
    """Wait until all have left, and look."""

    async def empty() -> dict[str, float] | None:
        metrics = await server.metrics()
        return metrics if not any(metrics[f"auralink_{name}"] for name in GAUGES) else None

    metrics = await eventually(empty, within=10, every=0.1)
    return Left(metrics["auralink_tasks"], metrics["process_open_fds"], server.rss)


async def wave(server: RunningServer, number: int, certificate: Certificate) -> None:
    """Ten participants in two rooms meet, hear and see each other, and leave."""
    room_of = tokens.from_keys(KEYS)
    ticker = Ticker()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ticker.run())

        async def attend(seat: int, met: asyncio.Barrier) -> None:
            token = room_of(f"room-{number}-{seat % 2}", f"peer-{number}-{seat}")
            peer = Peer(server.websocket_url, token, rates=RATES, ticker=ticker, certificate=certificate)
            async with peer:
                await eventually(lambda: sum(slot.has_started for slot in peer.ledger.slots.values()) >= WAVE - 2)
                await met.wait()

        async with asyncio.TaskGroup() as visits:
            met = asyncio.Barrier(WAVE)
            for seat in range(WAVE):
                visits.create_task(attend(seat, met))
        running.cancel()


async def visits(number: int) -> None:
    """Let so many participants come and go, ten at a time."""
    async with running_server(keys=KEYS, media_ip="127.0.0.1", log_level="error") as server:
        certificate = Certificate()
        await wave(server, 0, certificate)
        first = await after_everybody_left(server)
        settled = first
        for at in range(1, number // WAVE):
            await wave(server, at, certificate)
            if (at + 1) * WAVE == SETTLED:
                settled = await after_everybody_left(server)
        last = await after_everybody_left(server)
        print(f"after {WAVE}: {first}, after {number}: {last}")
        assert (last.tasks, last.files) == (first.tasks, first.files)
        if number > SETTLED:
            growth = last.memory / settled.memory - 1
            print(f"memory grew by {growth:.1%} from the {SETTLED}th to the {number}th")
            assert growth < 0.05
        else:
            assert last.memory - first.memory < 16 * 1024 * 1024


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [60, pytest.param(500, marks=pytest.mark.long)])
def test_nothing_is_left_of_participants_who_came_and_went(number: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(visits(number))
