"""The browsers that tests drive can make calls at all, without any server of ours between them."""

from __future__ import annotations

import pytest

from .browser import bitrate, direct_call, received, sees_and_hears
from .chromium import Chromium, running_chromium
from .firefox import BidiError, running_firefox
from .network import Network
from .plain_page import plain_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_chromium_pages_call_each_other_directly(chromium: Chromium) -> None:
    async with plain_page() as url:
        one, other = await chromium.page(url), await chromium.page(url)
        await direct_call(one, other)
        await sees_and_hears(one, video=1, audio=1)
        (before,) = await received(other, "video")
        await sees_and_hears(other, video=1, audio=1)
        (after,) = await received(other, "video")
    assert after.frames > before.frames
    assert bitrate(before, after) > 50_000


async def test_firefox_and_chromium_call_each_other_in_a_network_of_their_own(network: Network) -> None:
    async with plain_page(network) as url, running_firefox(network) as firefox, running_chromium(network) as chromium:
        one, other = await firefox.page(url), await chromium.page(url)
        await direct_call(one, other)
        await sees_and_hears(one, video=1, audio=1, within=20)
        await sees_and_hears(other, video=1, audio=1, within=20)
    assert firefox.process.returncode is not None


async def test_two_firefox_pages_are_two_people(network: Network) -> None:
    async with plain_page(network) as url, running_firefox(network) as firefox:
        one, other = await firefox.page(url), await firefox.page(url)
        await one.evaluate("() => localStorage.setItem('name', 'Ada')")
        assert await other.evaluate("() => localStorage.getItem('name')") is None
        with pytest.raises(BidiError, match="no such thing"):
            await one.evaluate("() => { throw new Error('no such thing') }")
        await direct_call(one, other)
        await sees_and_hears(one, video=1, audio=1, within=20)
        await sees_and_hears(other, video=1, audio=1, within=20)
        await one.evaluate("() => console.warn('careful')")
        assert "warn: careful" in one.console
