"""Takes the pictures of the demo page in docs/images: `.venv/bin/python docs/screenshots.py [lobby] [call] …`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT))

from playwright.async_api import Page, expect  # noqa: E402

from tests.support.chromium import Chromium, running_chromium  # noqa: E402
from tests.support.instances import instances, token_for  # noqa: E402
from tests.support.redis_server import redis_server  # noqa: E402
from tests.support.server import RunningServer, running_server  # noqa: E402

PORTRAIT = Path(__file__).with_name("portrait.js").read_text()
ROOM = "quiet-harbour"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
TALK = (
    ("Ada", "Good morning! Can everybody hear me?"),
    ("Bob", "Crystal clear."),
    ("Cleo", "Yes, and you sound close."),
    ("Ada", "Then let us begin."),
)


async def main() -> None:
    """Take the pictures that are asked for, or all."""
    wanted = sys.argv[1:] or ["lobby", "call", "degraded"]
    async with running_chromium() as chromium:
        if "lobby" in wanted or "call" in wanted:
            async with running_server() as server:
                if "lobby" in wanted:
                    await lobby(chromium, server)
                if "call" in wanted:
                    await call(chromium, server)
        if "degraded" in wanted:
            await degraded(chromium)


async def call(chromium: Chromium, server: RunningServer) -> None:
    """Four people meet, and a fifth looks at them on a phone."""
    people = {name: await join(chromium, server, name, **DESKTOP) for name in ("Ada", "Bob", "Cleo")}
    await join(chromium, server, "Dan", camera=False, **DESKTOP)
    await people["Bob"].keyboard.press("m")
    await all_pictures(people["Cleo"], 2)
    for name, text in TALK:
        await say(people[name], text)
    cleo = people["Cleo"]
    await cleo.get_by_role("button", name="Chat").click()
    await settled(cleo)
    await cleo.screenshot(path=IMAGES / "call-desktop.png")

    phone = await join(chromium, server, "Eve", **PHONE)
    await all_pictures(phone, 3)
    await settled(phone)
    await phone.screenshot(path=IMAGES / "call-phone.png")
    await chromium.close_pages()


async def degraded(chromium: Chromium) -> None:
    """Redis is away: the call goes on, and of somebody at another instance nothing is heard."""
    async with redis_server() as redis, instances(redis) as cluster:
        one, two = await cluster.start("one", "two")
        await cluster.meet()
        while await one.home_of(ROOM) != one.port:  # the ids of instances, and with them the homes of rooms, are random
            await one.end()
            await one.start()
            await cluster.meet(within=40)
        join_there = {"type": "join", "token": token_for(ROOM, "dan"), "stay": True}
        async with two.server.websocket() as socket:
            await socket.send(json.dumps(join_there))
            await socket.recv()
            _, cleo, _ = [
                await join(chromium, one.server, name, token=token_for(ROOM, name.lower()), **options)
                for name, options in (("Ada", DESKTOP), ("Cleo", DESKTOP), ("Eve", PHONE))
            ]
            await redis.kill()
            await all_pictures(cleo, 2)
            await expect(cleo.locator("#degraded .banner.warning")).to_be_visible()
            await settled(cleo)
            await cleo.screenshot(path=IMAGES / "degraded-desktop.png")
    await chromium.close_pages()


async def lobby(chromium: Chromium, server: RunningServer) -> None:
    """The page before joining."""
    page = await arrive(chromium, server, "Ada", **DESKTOP)
    await page.evaluate("() => document.activeElement.blur()")
    await settled(page)
    await page.screenshot(path=IMAGES / "lobby-desktop.png")
    await chromium.close_pages()


async def arrive(chromium: Chromium, server: RunningServer, name: str, token: str = "", **options: Any) -> Page:
    """Open the lobby with a drawn person before the camera; only Ada speaks. A server in dev mode needs no `token`."""
    page = (await chromium.page(**options)).playwright
    await page.add_init_script(PORTRAIT)
    await page.goto(f"{server.url}/?room={ROOM}&name={name}{f'#token={token}' if token else ''}")
    await page.wait_for_function("() => document.querySelector('#preview').videoWidth > 0")
    return page


async def join(chromium: Chromium, server: RunningServer, name: str, *, camera: bool = True, **options: Any) -> Page:
    """Join by the lobby's button."""
    page = await arrive(chromium, server, name, **options)
    if not camera:
        await page.locator("#lobby-camera").click()
    await page.get_by_role("button", name="Join now").click()
    await expect(page.get_by_role("heading", name=ROOM)).to_be_visible()
    return page


async def say(page: Page, text: str) -> None:
    """Write to everybody, and leave the panel closed."""
    await page.get_by_role("button", name="Chat").click()
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("button", name="Close the panel").click()


async def all_pictures(page: Page, others: int) -> None:
    """Wait until the cameras of so many others are seen."""
    await expect(page.locator("#tiles .tile.has-video:not(.own)")).to_have_count(others)


async def settled(page: Page) -> None:
    """Wait until toasts are gone, and the first statistics are there."""
    await expect(page.locator("#toasts > *")).to_have_count(0, timeout=15_000)
    await asyncio.sleep(2.5)


asyncio.run(main())
