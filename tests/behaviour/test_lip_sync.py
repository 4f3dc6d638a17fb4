"""Sound and picture of one person stay together at everybody else's."""

from __future__ import annotations

from statistics import median

import pytest

from tests.support.call import Person, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

PROMISE = 0.100  # seconds; people begin to notice above this


# Once a second, a white picture and a tone begin together, like a clapperboard in front of a camera.
CLAP = """() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
    const pen = canvas.getContext('2d');
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 880 });
    const gain = new GainNode(context, { gain: 0 });
    const out = context.createMediaStreamDestination();
    tone.connect(gain).connect(out);
    tone.start();
    setInterval(() => {
        const clap = performance.now() % 1000 < 200;
        pen.fillStyle = clap ? 'white' : 'black';
        pen.fillRect(0, 0, 320, 180);
        gain.gain.value = clap ? 0.8 : 0;
    }, 1000 / 60);
    caller.captured.set('camera', canvas.captureStream(30).getVideoTracks()[0]);
    caller.captured.set('microphone', out.stream.getAudioTracks()[0]);
}"""

# When each picture turns white and each tone begins, by the receiver's clock.
WATCH = """() => {
    window.claps = { camera: [], microphone: [] };
    const began = { camera: true, microphone: true };
    const see = (source, on) => {
        if (on && !began[source]) claps[source].push(performance.now());
        began[source] = on;
    };
    const of = (wanted) => [...caller.playing.values()].find(({ source }) => source === wanted).element;
    const video = of('camera');
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    const look = () => {
        pen.drawImage(video, 0, 0, 1, 1);
        see('camera', pen.getImageData(0, 0, 1, 1).data[0] > 128);
        video.requestVideoFrameCallback(look);
    };
    look();
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 256 });
    context.createMediaStreamSource(of('microphone').srcObject).connect(analyser);
    const samples = new Float32Array(256);
    setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        see('microphone', Math.max(...samples) > 0.1);
    }, 4);
}"""


async def test_a_flash_and_a_beep_of_one_moment_are_seen_and_heard_in_one_moment(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada", {})
    bob = await person(await chromium.page(), server, room, "bob", {})
    await ada.page.evaluate(CLAP)
    await ada.publishes("microphone")
    await ada.publishes("camera")
    await bob.sees_and_hears("ada")
    await bob.page.evaluate(WATCH)

    async def apart() -> list[float]:
        claps = await bob.page.evaluate("() => claps")
        both = [min((heard - seen for heard in claps["microphone"]), key=abs, default=1e9) for seen in claps["camera"]]
        return [gap / 1000 for gap in both if abs(gap) < 500]  # the partner of the first or the last may be missing

    async def in_sync() -> bool:
        last = (await apart())[-4:]
        return len(last) == 4 and abs(median(last)) <= PROMISE

    try:
        # The first seconds have no sender reports, and browsers close a gap in small steps.
        await eventually(in_sync, within=15, every=0.2)
    finally:
        print("heard after being seen: " + ", ".join(f"{1000 * seconds:.0f}" for seconds in await apart()) + " ms")


async def test_a_browser_believes_sound_and_picture_to_be_within_100_ms(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    await person(await chromium.page(), server, room, "ada")
    bob = await person(await chromium.page(), server, room, "bob")
    await bob.sees_and_hears("ada")
    offsets: list[float] = []

    async def in_sync() -> bool:
        now = await offset(bob)
        if now is not None:  # the first sender reports of both have come
            offsets.append(now)
        return len(offsets) >= 10 and max(map(abs, offsets[-10:])) <= PROMISE

    try:
        await eventually(in_sync, within=15, every=0.2)
    finally:
        print("sound is ahead of the picture by " + ", ".join(f"{1000 * seconds:.0f}" for seconds in offsets) + " ms")


async def offset(who: Person) -> float | None:
    """Seconds by which the sound that plays now is newer than the picture that shows now, by the sender's clock.

    None until the browser knows, which it does from sender reports.
    """
    audio, video = await who.stream("ada", "microphone"), await who.stream("ada", "camera")
    if audio is None or video is None:
        return None
    playing, showing = (stream.report.get("estimatedPlayoutTimestamp") for stream in (audio, video))
    if not playing or not showing:
        return None
    return float(playing - showing) / 1000
