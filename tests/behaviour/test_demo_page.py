"""The demo page as people use it: by its buttons, by the keyboard, on a phone, and with nothing in its console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect
from playwright.async_api import Page as PlaywrightPage

from tests.support.call import new_room
from tests.support.chromium import Chromium, ChromiumPage
from tests.support.server import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[PlaywrightPage]]


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Chromium, server: RunningServer) -> AsyncIterator[Visit]:
    """Opens the page for a visitor; at the end of the test no page may have complained, of its policy or otherwise."""
    pages: list[ChromiumPage] = []

    async def open_page(query: str = "", **options: object) -> PlaywrightPage:
        page = await chromium.page(f"{server.url}/{query}", **options)
        page.playwright.set_default_timeout(8000)
        pages.append(page)
        return page.playwright

    yield open_page
    for page in pages:
        complaints = [line for line in page.console if line.startswith(("error", "warning"))]
        assert not complaints


async def test_two_people_meet_talk_and_part_by_the_buttons_of_the_page(visit: Visit) -> None:
    room = new_room()
    ada = await visit()
    await ada.get_by_label("Your name").fill("Ada")
    await ada.get_by_role("textbox", name="Room").fill(room)
    await ada.get_by_role("button", name="Join now").click()
    await expect(ada.get_by_role("heading", name=room)).to_be_visible()

    bob = await visit(f"?room={room}")
    await bob.get_by_label("Your name").fill("Bob")
    await bob.get_by_role("button", name="Join now").click()

    for page, other in ((ada, "Bob"), (bob, "Ada")):
        await expect(tile(page, other)).to_be_visible()
        await shows_pictures(tile(page, other))
        await expect(tile(page, other)).to_have_attribute("aria-label", f"{other}, microphone on")
        await expect(page.locator("#connection-text")).to_have_text("Good")

    # Mute, and be seen muted.
    await ada.get_by_role("button", name="Microphone").click()
    await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone off")
    await ada.get_by_role("button", name="Microphone").click()
    await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone on")
    await ada.get_by_role("button", name="Camera").click()
    await expect(tile(bob, "Ada").locator("video")).to_have_css("opacity", "0")  # her initials instead
    await ada.get_by_role("button", name="Camera").click()
    await shows_pictures(tile(bob, "Ada"))

    # Chat: what arrives while the panel is closed is counted on its button.
    await ada.get_by_role("button", name="Chat").click()
    await ada.get_by_label("Message", exact=True).fill("Hello <b>Bob</b>")
    await ada.get_by_role("button", name="Send").click()
    await expect(ada.get_by_role("log")).to_contain_text("Hello <b>Bob</b>")
    await expect(bob.get_by_test_id("unread")).to_have_text("1")
    await bob.get_by_role("button", name="Chat").click()
    await expect(bob.get_by_role("log")).to_contain_text("Hello <b>Bob</b>")

    await ada.get_by_role("button", name="Leave the call").click()
    await expect(ada.get_by_role("heading", name="You left the call")).to_be_visible()
    await expect(tile(bob, "Ada")).to_have_count(0)
    await ada.get_by_role("button", name="Rejoin").click()
    await shows_pictures(tile(bob, "Ada"))
    await shows_pictures(tile(ada, "Bob"))


async def test_one_can_join_mute_and_leave_by_the_keyboard_alone(visit: Visit) -> None:
    room = new_room()
    bob = await joined(visit, room, "Bob")
    ada = await visit(f"?room={room}")
    await expect(ada.get_by_label("Your name")).to_be_focused()
    await ada.keyboard.type("Ada")
    await ada.keyboard.press("Enter")
    await expect(ada.get_by_role("heading", name=room)).to_be_focused()
    # Whoever is quicker than the devices gets in, and the devices follow.
    await expect(ada.get_by_role("button", name="Microphone")).to_have_attribute("aria-pressed", "true")
    await ada.keyboard.press("m")  # perhaps before the server has answered
    await shows_pictures(tile(ada, "Bob"))
    await expect(ada.get_by_role("button", name="Microphone")).to_have_attribute("aria-pressed", "false")
    await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone off")
    await ada.keyboard.press("c")
    await expect(ada.get_by_label("Message", exact=True)).to_be_focused()
    await ada.keyboard.type("mmm")  # letters in the field are letters
    await ada.keyboard.press("Enter")
    await expect(ada.get_by_role("log")).to_contain_text("mmm")
    await expect(ada.get_by_role("button", name="Microphone")).to_have_attribute("aria-pressed", "false")
    await ada.keyboard.press("Escape")
    await expect(ada.get_by_label("Chat and people")).not_to_be_visible()

    # Every control of the toolbar can be reached and is named.
    reached = set()
    for _ in range(30):
        await ada.keyboard.press("Tab")
        reached.add(await ada.evaluate("() => document.activeElement.getAttribute('aria-label')"))
    assert {"Microphone", "Camera", "Share your screen", "Leave the call"} <= reached
    await ada.keyboard.press("Shift+L")
    await expect(ada.get_by_role("heading", name="You left the call")).to_be_visible()


async def test_on_a_phone_everything_fits_and_can_be_used(visit: Visit) -> None:
    room = new_room()
    await joined(visit, room, "Bob")
    ada = await visit(f"?room={room}", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    await fits(ada)
    await ada.get_by_label("Your name").fill("Ada")
    await ada.get_by_role("button", name="Join now").tap()
    await shows_pictures(tile(ada, "Bob"))
    await fits(ada)
    await expect(ada.get_by_role("button", name="Leave the call")).to_be_in_viewport()
    await ada.get_by_role("button", name="Chat").tap()
    await expect(ada.get_by_label("Message", exact=True)).to_be_in_viewport()
    await fits(ada)


async def test_a_screen_is_shared_and_taken_back_by_its_button(visit: Visit) -> None:
    room = new_room()
    ada, bob = await joined(visit, room, "Ada"), await joined(visit, room, "Bob")
    await ada.get_by_role("button", name="Share your screen").click()
    screen = bob.get_by_label("Ada shares the screen")
    await shows_pictures(screen)
    await shows_pictures(tile(bob, "Ada").and_(bob.locator("#tiles article")))
    await expect(ada.get_by_label("You are sharing your screen")).to_be_visible()
    await ada.get_by_role("button", name="Share your screen").click()
    await expect(screen).to_have_count(0)
    await shows_pictures(tile(bob, "Ada"))


async def test_a_refused_join_is_told_once_and_where_it_was_asked_for(visit: Visit) -> None:
    ada = await visit("#token=nonsense")
    await ada.get_by_label("Your name").fill("Ada")
    await expect(ada.get_by_role("button", name="Camera")).to_have_attribute("aria-pressed", "true")
    await ada.get_by_role("button", name="Join now").click()
    await expect(ada.get_by_role("alert")).to_contain_text("Your access token is not valid here.")
    await expect(ada.locator(".toast")).to_have_count(0)


async def joined(visit: Visit, room: str, name: str) -> PlaywrightPage:
    """Somebody who is in the room already."""
    page = await visit(f"?room={room}&name={name}&autojoin=1")
    await expect(page.get_by_role("heading", name=room)).to_be_visible()
    return page


def tile(page: PlaywrightPage, name: str) -> Locator:
    """The tile of another person."""
    return page.locator("article.tile", has_text=name)


async def shows_pictures(where: Locator) -> None:
    """Wait until a tile's video plays, one picture after another."""
    video = where.locator("video")
    await expect(video).to_be_visible()
    await video.evaluate(
        """(video) => new Promise((resolve, reject) => {
            setTimeout(() => reject(new Error('no second picture within 5 s')), 5000);
            video.requestVideoFrameCallback(() => video.requestVideoFrameCallback(resolve));
        })"""
    )


async def fits(page: PlaywrightPage) -> None:
    """Nothing sticks out to the side."""
    assert await page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
