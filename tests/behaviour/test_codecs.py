"""A camera reaches the others in the codec its owner asked for, if all can decode it."""

from __future__ import annotations

import pytest

from tests.support.browser import received
from tests.support.call import CAMERA, enter, new_room, person, prepare
from tests.support.chromium import Chromium
from tests.support.server import RunningServer

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
