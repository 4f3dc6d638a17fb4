"""Real Chromium pages with a fake camera and microphone, driven by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, async_playwright
from playwright.async_api import Page as PlaywrightPage

from .browser import MEASURE
from .network import HOST, Network

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
    "--autoplay-policy=no-user-gesture-required",
    # A page in the background is as much in the call as the one in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
# On a machine without any network Chromium can then call itself too. Elsewhere it may make Chromium gather nothing but
# loopback, which is no way to reach Firefox.
LOOPBACK = "--allow-loopback-in-peer-connection"


class ChromiumPage:
    """A page in a context of its own, as a person with a fresh profile would have it."""

    def __init__(self, page: PlaywrightPage) -> None:
        self.playwright = page  # for clicking and typing: locators, keyboard, screenshots
        self._console: list[str] = []
        page.on("console", lambda message: self._console.append(_line(message)))
        page.on("pageerror", lambda error: self._console.append(f"error: {error}"))

    @property
    def console(self) -> Sequence[str]:
        return self._console

    async def goto(self, url: str) -> None:
        await self.playwright.goto(url)

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        return await self.playwright.evaluate(script, argument)

    async def close(self) -> None:
        await self.playwright.context.close()


class Chromium:
    """One browser process; `page` gives isolated pages."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def page(self, url: str | None = None, **context_options: Any) -> ChromiumPage:
        """A new page in a new context with camera and microphone allowed, at `url` if given.

        `context_options` are Playwright's, e.g. `viewport` or `reduced_motion`.
        """
        context = await self._browser.new_context(permissions=["camera", "microphone"], **context_options)
        self._contexts.append(context)
        await context.add_init_script(MEASURE)
        page = ChromiumPage(await context.new_page())
        if url:
            await page.goto(url)
        return page

    async def close_pages(self) -> None:
        """Close every page that was opened here, so that the next test starts with none."""
        for context in self._contexts:
            try:
                await context.close()
            except Error:  # closed by the test itself
                continue
        self._contexts.clear()


@asynccontextmanager
async def running_chromium(network: Network = HOST, *arguments: str) -> AsyncIterator[Chromium]:
    """Chromium in `network`, with further command line `arguments`, for as long as the block lasts."""
    with TemporaryDirectory(prefix="auralink-chromium-") as folder:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=_launcher(network, Path(folder)),
                args=[*ARGUMENTS, *([LOOPBACK] if network.namespace is None else []), *arguments],
                chromium_sandbox=False,
            )
            try:
                yield Chromium(browser)
            finally:
                await browser.close()


def _launcher(network: Network, folder: Path) -> str:
    """The browser itself, or a small script that starts it inside the network."""
    if network.namespace is None:
        return EXECUTABLE
    script = folder / "chromium"
    script.write_text(f'#!/bin/sh\nexec {" ".join(network.command(EXECUTABLE))} "$@"\n')
    script.chmod(0o755)
    return str(script)


def _line(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"
