"""An operator can have everybody's media built anew: people stay in the call, and it is back in a moment."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.call import Person, all_meet
from tests.support.fay_and_ada import fay_and_ada
from tests.support.network import Network
from tests.support.server import running_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BACK_WITHIN = 5.0  # seconds


async def test_chromium_and_firefox_build_their_media_anew_without_leaving(network: Network) -> None:
    async with (
        running_server(network=network, shutdown_grace=1) as server,
        fay_and_ada(network, server) as call,
    ):
        fay, ada = call.fay, call.ada
        before = {who.identity: await participant_of(who) for who in (fay, ada)}
        for who in (fay, ada):
            await who.forgets()

        began = time.monotonic()
        server.process.send_signal(signal.SIGUSR1)
        for who in (fay, ada):
            await eventually(lambda who=who: has_new_media(who), within=BACK_WITHIN)  # type: ignore[misc]
        await all_meet([fay, ada], within=BACK_WITHIN)
        print(f"media was back after {time.monotonic() - began:.1f} s")

        for who, other in ((fay, "ada"), (ada, "fay")):
            assert await participant_of(who) == before[who.identity]
            for event in (
                "participant-left",
                "participant-joined",
                "connected",
                "reconnecting",
                "disconnected",
                "error",
            ):
                assert not await who.told(event), event
            assert {told["source"] for told in await who.told("track-unpublished", identity=other)} == {
                "camera",
                "microphone",
            }
        assert " ERROR " not in server.log, server.log


async def participant_of(who: Person) -> str:
    """The id under which the room knows somebody."""
    return str(await who.page.evaluate("() => caller.room.me.id"))


async def has_new_media(who: Person) -> bool:
    """Whether a second connection was built, and carries media."""
    states = await who.page.evaluate("() => measure.connections.map(({ connectionState }) => connectionState)")
    return len(states) == 2 and states[1] == "connected"
