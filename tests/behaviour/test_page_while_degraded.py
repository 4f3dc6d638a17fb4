"""The demo page tells in plain words what is away and who is elsewhere; a test says here what a server would say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page as PlaywrightPage
from playwright.async_api import WebSocketRoute, expect

from tests.support.call import new_room
from tests.support.chromium import Chromium
from tests.support.server import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ABOUT = "People at other servers may be missing."
REDIS = {"dependency": "redis", "mode": "standalone", "reason": "circuit_open", "message": ABOUT}
BOB: dict[str, Any] = {"id": "p_far", "identity": "bob", "name": "Bob", "presence": "elsewhere", "tracks": []}


async def join(
    chromium: Chromium, server: RunningServer, room: str, name: str, **options: object
) -> tuple[PlaywrightPage, Callable[[str, Any], None]]:
    """A page in the call, and a way to let its server say something more."""
    page = (await chromium.page(**options)).playwright
    page.set_default_timeout(8000)
    sockets: list[WebSocketRoute] = []

    async def listen(socket: WebSocketRoute) -> None:
        far = socket.connect_to_server()
        socket.on_message(far.send)
        far.on_message(socket.send)
        sockets.append(socket)

    await page.route_web_socket("**/ws", listen)
    await page.goto(f"{server.url}/{f'?room={room}' if name == 'Guest' else ''}")
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("textbox", name="Room").fill(room)
    await page.get_by_role("button", name="Join now").click()
    await expect(page.get_by_role("heading", name=room)).to_be_visible()

    def say(type: str, **fields: Any) -> None:
        sockets[-1].send(json.dumps({"type": type, **fields}))

    return page, say


async def test_a_banner_says_what_is_away_and_since_when_until_all_is_well(
    chromium: Chromium, server: RunningServer
) -> None:
    page, say = await join(chromium, server, new_room(), "Ada")
    banner = page.locator("#degraded")
    await expect(banner).to_have_role("status")
    await expect(banner).to_be_empty()
    say("degraded", degradation={**REDIS, "since": time.time() - 60})
    await expect(banner).to_contain_text(ABOUT)
    await expect(banner.locator("time")).to_be_visible()
    say("recovered", dependency="redis", message="Everybody is up to date.")
    await expect(banner).to_have_text("All is well again. Everybody is up to date.")
    await expect(banner).to_be_empty(timeout=12_000)


@pytest.mark.parametrize("width", [1280, 375])
async def test_who_is_elsewhere_is_shown_with_words_and_becomes_the_normal_tile(
    chromium: Chromium, server: RunningServer, width: int
) -> None:
    page, say = await join(chromium, server, new_room(), "Ada", viewport={"width": width, "height": 800})
    say("participant_joined", participant=BOB)
    tile = page.locator("#tiles [data-identity=bob]")
    await expect(tile.get_by_text("Connected through another server")).to_be_visible()
    await tile.evaluate("(tile) => { tile.isTheSame = true; }")
    say("degraded", degradation={**REDIS, "since": time.time()})
    await expect(tile.get_by_text("Connection to their server is interrupted")).to_be_visible()
    where, name = await tile.locator(".where").bounding_box(), await tile.locator(".name").bounding_box()
    assert where is not None
    assert name is not None
    assert where["y"] + where["height"] <= name["y"], "the words lie over the name"
    await expect(tile).to_have_attribute("aria-label", "Bob, connection to their server is interrupted")
    say("participant_joined", participant={**BOB, "id": "p_here", "presence": "here"})
    say("participant_left", participant="p_far", reason="migrated")
    await expect(tile).to_have_attribute("aria-label", "Bob, microphone off")
    await expect(tile.locator(".where")).to_be_hidden()
    assert await tile.evaluate("(tile) => tile.isTheSame"), "it is another tile"
    assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


async def test_moderators_give_the_call_a_title_that_everybody_reads(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    ada, _ = await join(chromium, server, room, "Ada")
    guest, _ = await join(chromium, server, room, "Guest")
    await ada.get_by_role("button", name="People").click()
    await ada.get_by_label("Title of the call").fill("Weekly planning")
    await ada.get_by_role("button", name="Save").click()
    for page in (ada, guest):
        await expect(page.get_by_role("heading", level=1)).to_have_text("Weekly planning")
        await expect(page).to_have_title("Weekly planning · AuraLink")
    await expect(guest.get_by_label("Title of the call")).to_be_hidden()
    await ada.get_by_label("Title of the call").fill("")
    await ada.get_by_role("button", name="Save").click()
    await expect(guest.get_by_role("heading", level=1)).to_have_text(room)
