"""A screen is shared beside the camera, as a track of its own that is known for what it is."""

from __future__ import annotations

import pytest

from tests.support.call import BOTH, Person, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Not the camera's shape, so that nobody can take one for the other.
SCREEN = {"drawn": True, "width": 400, "height": 400, "frameRate": 10}


async def test_a_screen_and_a_camera_of_one_person_arrive_side_by_side(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada")
    bob = await person(await chromium.page(), server, room, "bob")
    await bob.sees_and_hears("ada")

    await ada.captures(screen=SCREEN)
    await ada.publishes("screen")
    await bob.hears("track-published", identity="ada", source="screen")
    await bob.is_shown("ada", "screen")
    await bob.is_shown("ada", "camera")
    assert (await bob.roster())["ada"] == {"camera": False, "microphone": False, "screen": False}
    await eventually(lambda: has_shape(bob, "screen", 1.0))
    await eventually(lambda: has_shape(bob, "camera", 16 / 9))

    # Who comes later sees both as well.
    cleo = await person(await chromium.page(), server, room, "cleo", {})
    await cleo.is_shown("ada", "screen")
    await cleo.is_shown("ada", "camera")
    await eventually(lambda: has_shape(cleo, "screen", 1.0))

    await ada.unpublishes("screen")
    await bob.hears("track-unpublished", identity="ada", source="screen")
    await bob.is_shown("ada", "camera")
    assert not await bob.receives("ada", "screen")


async def test_somebody_without_a_camera_can_share_a_screen(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob", {})
    await person(await chromium.page(), server, room, "ada", {"microphone": BOTH["microphone"], "screen": SCREEN})
    await bob.is_shown("ada", "screen")
    await bob.is_shown("ada", "microphone")


async def has_shape(who: Person, source: str, ratio: float) -> bool:
    """Whether ada's pictures of this source are that much wider than high."""
    stream = await who.stream("ada", source)
    if stream is None or not stream.size[1]:
        return False
    return abs(stream.size[0] / stream.size[1] - ratio) < 0.05
