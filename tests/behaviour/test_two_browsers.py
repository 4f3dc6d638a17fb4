"""Chromium and Firefox, which negotiate, pace and report differently, are in one call."""

from __future__ import annotations

import pytest

from tests.support.call import all_meet, new_room, person
from tests.support.chromium import running_chromium
from tests.support.firefox import running_firefox
from tests.support.network import Network
from tests.support.server import running_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_firefox_and_chromium_see_and_hear_each_other_whoever_comes_first(network: Network) -> None:
    async with (
        running_server(network=network, shutdown_grace=1) as server,
        running_firefox(network) as firefox,
        running_chromium(network) as chromium,
    ):
        room = new_room()
        fay = await person(await firefox.page(), server, room, "fay")
        ada = await person(await chromium.page(), server, room, "ada")
        await all_meet([fay, ada])
        # Another of each: Firefox adds receive sections to a running call, and is late itself.
        bob = await person(await chromium.page(), server, room, "bob")
        gil = await person(await firefox.page(), server, room, "gil")
        await all_meet([fay, ada, bob, gil], within=15)

        await fay.mutes("camera")
        await ada.hears("muted", identity="fay", source="camera")
        await fay.unmutes("camera")
        await fay.unpublishes("microphone")
        await ada.hears("track-unsubscribed", identity="fay", source="microphone")
        await fay.publishes("microphone")
        await all_meet([fay, ada])
        for one in (fay, ada, bob, gil):
            assert not await one.told("error")
            assert not await one.told("media-state", state="failed")
            assert not await one.told("media-state", state="disconnected")
