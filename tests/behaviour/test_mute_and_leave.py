"""What one does with one's own tracks everybody else sees at once: mute, end, begin again, leave, come back."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.call import BOTH, Person, all_meet, enter, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_muting_stops_sound_and_picture_and_unmuting_brings_both_back(
    chromium: Chromium, server: RunningServer
) -> None:
    ada, bob = await couple(chromium, server)

    for source in ("camera", "microphone"):
        await ada.mutes(source)
        await bob.hears("muted", within=1, identity="ada", source=source)
    assert (await bob.roster())["ada"] == {"camera": True, "microphone": True}
    assert await grows_within(bob, "camera", 1.5) == 0
    assert await grows_within(bob, "microphone", 1.5) < 1e-4
    assert await grows_within(ada, "camera", 1.5, of="bob") > 10, "the other direction goes on"

    before = await bob.stream("ada", "camera")
    assert before
    loop = asyncio.get_running_loop()
    began = loop.time()
    for source in ("camera", "microphone"):
        await ada.unmutes(source)
        await bob.hears("unmuted", within=1, identity="ada", source=source)
    await eventually(lambda: new_frames(bob, before.frames), within=2, every=0.02)
    print(f"a new picture {loop.time() - began:.2f} s after unmuting")
    await bob.sees_and_hears("ada", within=3)


async def test_a_camera_that_ends_and_begins_again_is_the_same_person_with_a_new_track(
    chromium: Chromium, server: RunningServer
) -> None:
    ada, bob = await couple(chromium, server)
    for _ in range(2):
        await bob.forgets()
        for source in ("camera", "microphone"):
            await ada.unpublishes(source)
            await bob.hears("track-unsubscribed", identity="ada", source=source)
            await bob.hears("track-unpublished", identity="ada", source=source)
        assert (await bob.roster())["ada"] == {}
        for source in ("microphone", "camera"):
            await ada.publishes(source)
        await bob.sees_and_hears("ada")
        await ada.sees_and_hears("bob")
    assert not await bob.told("participant-left")


async def test_who_leaves_is_gone_and_who_comes_back_is_seen_again(chromium: Chromium, server: RunningServer) -> None:
    ada, bob = await couple(chromium, server)
    room = await bob.page.evaluate("() => caller.room.name")

    await ada.leaves()
    left = await bob.hears("participant-left", within=1, identity="ada")
    assert left["reason"] == "left"
    assert await bob.roster() == {}
    assert await bob.receives() == []

    await bob.forgets()
    ada = await enter(ada.page, server, room, "ada")
    await bob.hears("participant-joined", identity="ada")
    await all_meet([ada, bob])


async def test_a_closed_page_is_gone_at_once(chromium: Chromium, server: RunningServer) -> None:
    ada, bob = await couple(chromium, server)
    await ada.page.close()
    await bob.hears("participant-left", within=2, identity="ada")


async def couple(chromium: Chromium, server: RunningServer) -> tuple[Person, Person]:
    """Two people who see and hear each other."""
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada", BOTH)
    bob = await person(await chromium.page(), server, room, "bob", BOTH)
    await all_meet([ada, bob])
    return ada, bob


async def grows_within(who: Person, source: str, seconds: float, of: str = "ada") -> float:
    """By how many frames, or by how much energy, a stream grew; what was under way at first is let pass."""
    await asyncio.sleep(0.3)
    before = await who.stream(of, source)
    await asyncio.sleep(seconds)
    after = await who.stream(of, source)
    assert before
    assert after
    return after.energy - before.energy if source == "microphone" else after.frames - before.frames


async def new_frames(who: Person, frames: int) -> bool:
    """Whether more than so many frames of ada's camera were decoded."""
    now = await who.stream("ada", "camera")
    return now is not None and now.frames > frames
