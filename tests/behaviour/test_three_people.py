"""Three people see and hear each other as well as two who need no server between them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.browser import direct_call
from tests.support.call import CAMERA, MICROPHONE, all_meet, enter, new_room, prepare
from tests.support.chromium import Chromium
from tests.support.ramp import Sample, level, reaches, watch
from tests.support.server import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

DRAWN = {**CAMERA, "drawn": True}
MAX_BITRATE = 800_000  # bits per second; in both calls
WATCHED = 9.0  # seconds of the direct call
LATER = 5.0  # seconds our call may need longer


@pytest.mark.timeout(90)
async def test_three_pages_see_and_hear_each_other_as_well_as_in_a_direct_call(
    chromium: Chromium, server: RunningServer
) -> None:
    goal, direct = await in_a_direct_call(chromium, server)
    print(f"direct call: {goal}; 90 % of it after {direct:.1f} s")

    room = new_room()
    pages = [await chromium.page() for _ in range(3)]
    for page in pages:
        await prepare(page, server.url, {"microphone": MICROPHONE, "camera": DRAWN})
    watching = [watch(page, direct + LATER + 1) for page in pages]
    limits = {"camera": {"maxBitrate": MAX_BITRATE}}
    joining = [
        enter(page, server, room, name, encodings=limits)
        for page, name in zip(pages, ("ada", "bob", "cleo"), strict=True)
    ]
    *ramps, ada, bob, cleo = await asyncio.gather(*watching, *joining)
    await all_meet([ada, bob, cleo])

    for who, ramp in zip((ada, bob, cleo), ramps, strict=True):
        assert len(ramp) == 2, f"{who.identity} receives {len(ramp)} videos"
        for samples in ramp.values():
            reached = reaches(samples, goal)
            print(f"{who.identity} receives {level(samples)}; 90 % of the direct call after {reached or -1:.1f} s")
            assert reached is not None, f"never, at {who.identity}: {[str(sample) for sample in samples]}"
            assert reached <= direct + LATER


async def in_a_direct_call(chromium: Chromium, server: RunningServer) -> tuple[Sample, float]:
    """What the same camera becomes without a server, and after how many seconds it had 90 % of that."""
    one, other = [await chromium.page(f"{server.url}/auralink.js") for _ in range(2)]
    watching = asyncio.gather(watch(one, WATCHED), watch(other, WATCHED))
    await direct_call(one, other, {"audio": MICROPHONE, "video": DRAWN}, MAX_BITRATE)
    found = []
    for (samples,) in map(dict.values, await watching):  # type: ignore[arg-type]
        when = reaches(samples, level(samples))
        assert when is not None
        found.append((level(samples), when))
    await chromium.close_pages()
    # The better of both is what we are measured by.
    return max((sample for sample, _ in found), key=lambda sample: sample.bitrate), min(when for _, when in found)
