"""Chromium and Firefox, which negotiate, pace and report differently, are in one call."""

from __future__ import annotations

import pytest

from tests.support.call import all_meet, person
from tests.support.fay_and_ada import fay_and_ada
from tests.support.network import Network
from tests.support.server import running_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_firefox_and_chromium_see_and_hear_each_other_whoever_comes_first(network: Network) -> None:
    async with (
        running_server(network=network, shutdown_grace=1) as server,
        fay_and_ada(network, server) as call,
    ):
        fay, ada = call.fay, call.ada
        # Another of each: Firefox adds receive sections to a running call, and is late itself.
        bob = await person(await call.chromium.page(), server, call.room, "bob")
        gil = await person(await call.firefox.page(), server, call.room, "gil")
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
