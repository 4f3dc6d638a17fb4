"""Sound and picture of one person stay together at everybody else's."""

from __future__ import annotations

import asyncio
from statistics import median

import pytest

from tests.support.call import Person, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PROMISE = 0.100  # seconds; people begin to notice above this


async def test_sound_and_picture_stay_within_100_ms_of_each_other(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    await person(await chromium.page(), server, room, "ada")
    bob = await person(await chromium.page(), server, room, "bob")
    await bob.sees_and_hears("ada")
    await eventually(lambda: offset(bob), within=8)  # the first sender reports of both have come
    offsets = []
    for _ in range(15):
        now = await offset(bob)
        assert now is not None
        offsets.append(now)
        await asyncio.sleep(0.2)
    print("sound is ahead of the picture by " + ", ".join(f"{1000 * seconds:.0f}" for seconds in offsets) + " ms")
    assert abs(median(offsets)) <= PROMISE


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
