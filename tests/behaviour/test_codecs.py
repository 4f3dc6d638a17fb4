"""Camera and microphone reach the others in the form their owner asked for, if all can decode it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.browser import Stream, bitrate, received, sent
from tests.support.call import CAMERA, MICROPHONE, Person, enter, new_room, person, prepare
from tests.support.chromium import Chromium, running_chromium
from tests.support.firefox import running_firefox
from tests.support.network import Network
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_a_camera_is_forwarded_in_the_codec_that_was_asked_for(
    codec: str, chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob", {})
    page = await chromium.page()
    await prepare(page, server.url, {"camera": CAMERA})
    await enter(page, server, room, "ada", encodings={"camera": {"codec": codec}})
    await bob.is_shown("ada", "camera")
    assert [stream.report["codec"] for stream in await received(bob.page, "video") if stream.frames] == [
        f"video/{codec}"
    ]


# What Firefox is like: it knows no redundancy of audio.
NO_REDUNDANCY = """() => {
    const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
    RTCRtpReceiver.getCapabilities = (kind) => {
        const found = all(kind);
        return { ...found, codecs: found.codecs.filter(({ mimeType }) => mimeType !== 'audio/red') };
    };
}"""


@pytest.mark.parametrize("red", [True, False])
async def test_sound_is_sent_twice_to_those_who_can_make_use_of_it_unless_its_owner_objects(
    red: bool, chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob", {})
    page = await chromium.page()
    await prepare(page, server.url, {})
    await page.evaluate(NO_REDUNDANCY)
    eve = await enter(page, server, room, "eve")
    page = await chromium.page()
    await prepare(page, server.url, {"microphone": MICROPHONE})
    await enter(page, server, room, "ada", encodings=None if red else {"microphone": {"red": False}})
    await bob.is_shown("ada", "microphone")
    await eve.is_shown("ada", "microphone")

    async def bytes_per_packet(one: Person) -> float | None:
        """Browsers do not tell redundancy from what it repeats, but what they get is larger."""
        stream = await one.stream("ada", "microphone")
        enough = stream is not None and stream.report["packetsReceived"] >= 100
        return stream.bytes / stream.report["packetsReceived"] if stream and enough else None

    with_red, without = [await eventually(lambda one=one: bytes_per_packet(one), within=10) for one in (bob, eve)]
    print(f"bytes per packet: {with_red:.0f} where redundancy is known, {without:.0f} where it is not")
    assert (with_red > 1.6 * without) is red
    assert red or with_red == pytest.approx(without, rel=0.3)


# A microphone in a room where nobody says anything.
SILENCE = """() => {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context);
    tone.connect(new GainNode(context, { gain: 0 })).connect(out);
    tone.start();
    caller.captured.set('microphone', out.stream.getAudioTracks()[0]);
}"""


async def test_silence_is_left_out_where_that_is_asked_for_and_nobody_takes_it_for_loss(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob", {})
    rates = {}
    for identity, dtx in (("ada", True), ("ann", False)):
        one = await person(await chromium.page(), server, room, identity, {})
        await one.page.evaluate(SILENCE)
        await one.publishes("microphone", dtx=dtx, red=False)
        await bob.hears("track-subscribed", identity=identity)
        rates[identity] = await _rate_of_microphone(one)
    print({identity: f"{rate / 1000:.1f} kbit/s" for identity, rate in rates.items()})
    assert rates["ada"] < rates["ann"] / 3
    silent = await bob.stream("ada", "microphone")
    assert silent is not None
    assert silent.packets_lost == 0


async def _rate_of_microphone(one: Person) -> float:
    """Bits per second of sound that a page sends, once it has sent for a while."""

    async def sends() -> Stream | None:
        streams = await sent(one.page, "audio")
        return streams[0] if streams and streams[0].bytes > 200 else None

    await eventually(sends, within=10)
    await asyncio.sleep(1)  # an encoder takes a moment to believe in silence
    [before] = await sent(one.page, "audio")
    await asyncio.sleep(2.5)  # in which 0.4 s are a comfort noise packet each
    [after] = await sent(one.page, "audio")
    return bitrate(before, after)


async def _microphone(chromium: Chromium, server: RunningServer, room: str, identity: str, **options: bool) -> Person:
    page = await chromium.page()
    await prepare(page, server.url, {"microphone": MICROPHONE})
    return await enter(page, server, room, identity, encodings={"microphone": options})


# A browser that decodes VP8 and nothing else.
ONLY_VP8 = """() => {
    const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
    RTCRtpReceiver.getCapabilities = (kind) => {
        const found = all(kind);
        const known = ({ mimeType }) => kind === 'audio' || ['video/VP8', 'video/rtx'].includes(mimeType);
        return { ...found, codecs: found.codecs.filter(known) };
    };
}"""


async def test_a_newcomer_who_cannot_decode_a_camera_is_told_and_sees_it_when_its_owner_has_changed_the_codec(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob", {})
    page = await chromium.page()
    await prepare(page, server.url, {"camera": CAMERA})
    await enter(page, server, room, "ada", encodings={"camera": {"codec": "AV1"}})
    await bob.is_shown("ada", "camera")
    assert await codecs_of(bob) == ["video/AV1"]
    page = await chromium.page()
    await prepare(page, server.url, {})
    await page.evaluate(ONLY_VP8)
    eve = await enter(page, server, room, "eve")
    notice = await eve.hears("notice", code="track_unreceivable")
    assert "AV1" in notice["message"]
    await eve.is_shown("ada", "camera")
    assert await codecs_of(eve) == ["video/VP8"]
    await bob.is_shown("ada", "camera")
    assert await codecs_of(bob) == ["video/VP8"]
    frozen = await longest_freeze(bob)
    print(f"longest freeze of who could decode both: {frozen:.2f} s")
    assert frozen < 1.5


async def codecs_of(one: Person) -> list[str]:
    """What the pictures that arrive are coded in."""
    return [stream.report["codec"] for stream in await received(one.page, "video") if stream.frames]


async def longest_freeze(one: Person) -> float:
    """Seconds for which the one picture that plays stood still, at most, by the browser's own count."""
    [stream] = await one.receives("ada", "camera")
    return float(stream.report["totalFreezesDuration"])


async def test_firefox_too_changes_the_codec_of_its_camera_for_a_newcomer_who_cannot_decode_it(
    network: Network,
) -> None:
    async with (
        running_server(network=network, shutdown_grace=1) as server,
        running_firefox(network) as firefox,
        running_chromium(network) as chromium,
    ):
        room = new_room()
        bob = await person(await chromium.page(), server, room, "bob", {})
        page = await firefox.page()
        await prepare(page, server.url, {"camera": CAMERA})
        await enter(page, server, room, "ada", encodings={"camera": {"codec": "VP9"}})
        await bob.is_shown("ada", "camera")
        assert await codecs_of(bob) == ["video/VP9"]
        page = await chromium.page()
        await prepare(page, server.url, {})
        await page.evaluate(ONLY_VP8)
        eve = await enter(page, server, room, "eve")
        await eve.hears("notice", code="track_unreceivable")
        await eve.is_shown("ada", "camera")
        assert await codecs_of(eve) == ["video/VP8"]
        await bob.is_shown("ada", "camera")
        assert await codecs_of(bob) == ["video/VP8"]
        print(f"longest freeze of who could decode both: {await longest_freeze(bob):.2f} s")
