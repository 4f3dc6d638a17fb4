"""On a network that loses packets the picture is repaired, the sound goes on, and both stay together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median

import pytest

from tests.support.browser import Stream
from tests.support.call import Person, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.tcp_proxy import tcp_proxy
from tests.support.udp_proxy import Conditions, UdpProxy, udp_proxy
from tests.support.waiting import eventually

from .test_lip_sync import PROMISE, offset

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

StartServer = Callable[..., Awaitable[RunningServer]]

# A picture that never holds still, so that there is something to lose: about a megabit per second.
LIVELY = {"drawn": True, "width": 640, "height": 360, "frameRate": 15}
SEED = 20

# Somebody who never takes a breath: in silence nothing could be missed.
VOICE = """() => {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context, { type: 'sawtooth', frequency: 180 });
    const sway = new OscillatorNode(context, { frequency: 4 });
    sway.connect(new GainNode(context, { gain: 60 })).connect(tone.frequency);
    tone.connect(new GainNode(context, { gain: 0.3 })).connect(out);
    tone.start();
    sway.start();
    caller.captured.set('microphone', out.stream.getAudioTracks()[0]);
}"""


@asynccontextmanager
async def server_behind(start: StartServer, delay: float) -> AsyncIterator[tuple[RunningServer, UdpProxy]]:
    """A server that pages reach over a network of its own, which for now only takes `delay` seconds each way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with udp_proxy(("127.0.0.1", port), Conditions(delay), Conditions(delay), seed=SEED) as way:
        host, public = way.address
        yield await start(media_port=port, media_ip=f"127.0.0.1={host}:{public}"), way


async def test_of_the_video_packets_that_are_lost_more_than_95_percent_are_repaired(
    chromium: Chromium, other_server: StartServer
) -> None:
    async with server_behind(other_server, delay=0.010) as (server, way):
        bob = await person(await chromium.page(), server, "lab", "bob", {})
        await person(await chromium.page(), server, "lab", "ada", {"camera": LIVELY})
        await bob.is_shown("ada", "camera")
        await asyncio.sleep(2)
        before, then = await stream_of(bob, "camera"), await server.metrics()
        way.up.loss = way.down.loss = 0.02
        await asyncio.sleep(12)
        way.up.loss = way.down.loss = 0
        await asyncio.sleep(1)
        after, now = await stream_of(bob, "camera"), await server.metrics()

    def grown(name: str) -> float:
        return now[f"auralink_{name}_total"] - then[f"auralink_{name}_total"]

    to_server = grown("packets_repaired") / grown("packets_missed")
    to_page = growth("retransmittedPacketsReceived", before, after) / growth("packetsLost", before, after)
    frames, dropped = (growth(name, before, after) for name in ("framesDecoded", "framesDropped"))
    print(
        f"seed {SEED}: to the server {grown('packets_missed'):.0f} missed, {100 * to_server:.1f} % repaired; "
        f"to the page {growth('packetsLost', before, after):.0f} lost, {100 * to_page:.1f} % sent again; "
        f"{frames:.0f} frames, {dropped:.0f} dropped, {growth('freezeCount', before, after):.0f} freezes"
    )
    assert growth("packetsLost", before, after) > 10
    assert to_server > 0.95
    assert to_page > 0.95
    assert frames > 0.95 * 12 * LIVELY["frameRate"]


@pytest.mark.parametrize(("up", "down"), [(0.05, 0.0), (0.0, 0.05)], ids=["to the server", "to the page"])
async def test_at_5_percent_loss_and_50_ms_round_trip_less_than_2_percent_of_the_sound_is_made_up(
    up: float, down: float, chromium: Chromium, other_server: StartServer
) -> None:
    async with server_behind(other_server, delay=0.025) as (server, way):
        bob = await person(await chromium.page(), server, "lab", "bob", {})
        ada = await person(await chromium.page(), server, "lab", "ada", {})
        await ada.page.evaluate(VOICE)
        await ada.publishes("microphone")
        await bob.is_shown("ada", "microphone")
        way.up.loss, way.down.loss = up, down
        await asyncio.sleep(3)  # the jitter buffer finds its size
        lost, made_up = await heard_for(12, bob)
        if (
            made_up >= 0.02
        ):  # a machine that stands still for a moment has its gaps, too: once more without, if it was that
            lost, made_up = await heard_for(12, bob)
    assert lost > 0.02
    assert made_up < 0.02


async def heard_for(seconds: float, bob: Person) -> tuple[float, float]:
    """The share of ada's sound that was lost on the way to bob, and the share that his browser had to make up."""
    before = await stream_of(bob, "microphone")
    await asyncio.sleep(seconds)
    after = await stream_of(bob, "microphone")
    packets_lost, came = growth("packetsLost", before, after), growth("packetsReceived", before, after)
    concealed = growth("concealedSamples", before, after) - growth("silentConcealedSamples", before, after)
    lost, made_up = packets_lost / (packets_lost + came), concealed / growth("totalSamplesReceived", before, after)
    print(f"seed {SEED}: {100 * lost:.1f} % of the packets lost, {100 * made_up:.2f} % of the sound made up")
    return lost, made_up


async def test_sound_and_picture_stay_within_100_ms_through_loss_an_outage_and_a_lost_socket(
    chromium: Chromium, other_server: StartServer
) -> None:
    async with server_behind(other_server, delay=0.025) as (server, way), tcp_proxy(server.url) as socket_way:
        room = new_room()
        await person(await chromium.page(), server, room, "ada")
        bob = await person(await chromium.page(), server, room, "bob", {}, through=socket_way.url)
        await bob.sees_and_hears("ada")
        way.up.loss = way.down.loss = 0.05
        await together(bob, "at 5 % loss")
        way.up.loss = way.down.loss = 1.0
        await asyncio.sleep(2)
        way.up.loss = way.down.loss = 0.0
        await together(bob, "after an outage of 2 s")
        await bob.forgets()
        socket_way.cut()
        await bob.hears("reconnecting")
        socket_way.mend()
        await bob.hears("resumed", within=8)
        await bob.sees_and_hears("ada")
        await together(bob, "after resuming")


async def together(bob: Person, when: str) -> None:
    """Wait until a second and a half long the sound that plays belongs to the picture that shows."""
    offsets: list[float] = []

    async def in_sync() -> bool:
        now = await offset(bob)
        if now is not None:
            offsets.append(now)
        return len(offsets) >= 8 and abs(median(offsets[-8:])) <= PROMISE

    try:
        await eventually(in_sync, within=20, every=0.2)
    finally:
        print(f"seed {SEED}, {when}: sound ahead by " + ", ".join(f"{1000 * one:.0f}" for one in offsets) + " ms")


async def stream_of(one: Person, source: str) -> Stream:
    """What arrives of ada's `source` by now."""
    stream = await one.stream("ada", source)
    assert stream is not None
    return stream


def growth(name: str, before: Stream, after: Stream) -> float:
    """By how much a count of the browser has grown."""
    return float(after.report.get(name, 0)) - float(before.report.get(name, 0))
