"""Who comes late sees everybody at once: the first picture does not wait for a keyframe that was due anyway."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.call import BOTH, Person, enter, new_room, person, prepare
from tests.support.chromium import Chromium
from tests.support.server import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PROMISE = 1.0  # seconds from joining to the first picture


async def test_a_late_joiner_sees_video_within_a_second(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    await person(await chromium.page(), server, room, "ada")
    waiting = []
    for name in ("bob", "cleo", "dan"):
        page = await chromium.page()
        await prepare(page, server.url, {})
        waiting.append((page, name))
    first = await enter(*waiting[0][:1], server, room, waiting[0][1])
    after = await first_picture(first)
    print(f"one late joiner: first picture {after:.3f} s after joining")
    assert after <= PROMISE

    # Several in quick succession share the keyframes that are asked for, and none of them waits for long.
    late = await asyncio.gather(*(enter(page, server, room, name) for page, name in waiting[1:]))
    times = [await first_picture(one) for one in late]
    print("two more at the same time: " + ", ".join(f"{after:.3f} s" for after in times))
    assert max(times) <= PROMISE


async def test_a_late_joiner_who_also_publishes_sees_and_is_seen_within_a_second(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada")
    page = await chromium.page()
    await prepare(page, server.url, BOTH)
    await ada.page.evaluate("() => { window.saw = caller.events.length; window.t0 = performance.now(); }")
    bob = await enter(page, server, room, "bob")
    sees = await first_picture(bob)
    seen = await first_picture(ada, "bob")
    before = await ada.hears("participant-joined", identity="bob")
    print(f"sees after {sees:.3f} s, is seen {seen - before['after']:.3f} s after its arrival was told")
    assert sees <= PROMISE
    assert seen - before["after"] <= PROMISE


async def first_picture(who: Person, of: str = "ada") -> float:
    """Seconds from joining until the first picture of this person was shown."""
    return float((await who.hears("first-frame", identity=of))["after"])
