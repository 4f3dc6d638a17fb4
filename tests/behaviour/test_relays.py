"""Who can connect by relay only has the call back when the relay is back, without reloading the page."""

from __future__ import annotations

import pytest

from tests.support.call import all_meet, enter, new_room, person, prepare
from tests.support.chromium import Chromium
from tests.support.server import running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RELAY_ONLY = {"iceTransportPolicy": "relay"}
# The URL of the relay that media takes.
RELAY = """async () => {
  const report = await measure.connections.at(-1).getStats();
  const { selectedCandidatePairId } = [...report.values()].find(({ type }) => type === 'transport');
  const pair = report.get(selectedCandidatePairId);
  return report.get(pair.localCandidateId).url;
}"""


async def test_a_page_that_needs_a_relay_recovers_when_it_returns(chromium: Chromium) -> None:
    async with (
        TurnServer() as turn,
        running_server(turn=turn.url(), turn_secret=SECRET, turn_probe_interval=1, shutdown_grace=1) as server,
    ):
        room = new_room()
        ada = await person(await chromium.page(), server, room, "ada", rtcConfiguration=RELAY_ONLY)
        bob = await person(await chromium.page(), server, room, "bob")
        await all_meet([ada, bob])
        await turn.kill()
        await ada.hears("degraded", within=15)
        await ada.hears("media-state", within=30, state="disconnected")
        await bob.forgets()
        # Nobody who needs it is let in to wait in vain.
        eve = await chromium.page()
        await prepare(eve, server.url)
        with pytest.raises(Exception, match="no relay that works"):
            await enter(eve, server, room, "eve", rtcConfiguration=RELAY_ONLY)
        await turn.start()
        await ada.hears("recovered", within=15)
        await ada.sees_and_hears("bob", within=20)
        await bob.sees_and_hears("ada", within=20)
        assert not await bob.told("participant-left")
        assert not await ada.told("connected", rejoined=True)


async def test_a_call_over_a_relay_is_not_touched_when_another_relay_dies(chromium: Chromium) -> None:
    async with (
        TurnServer() as turn,
        TurnServer() as other,
        running_server(
            turn=f"{turn.url()},{other.url()}", turn_secret=SECRET, turn_probe_interval=1, shutdown_grace=1
        ) as server,
    ):
        room = new_room()
        ada = await person(await chromium.page(), server, room, "ada", rtcConfiguration=RELAY_ONLY)
        bob = await person(await chromium.page(), server, room, "bob")
        await all_meet([ada, bob])
        used = await ada.page.evaluate(RELAY)
        assert used in (turn.url(), other.url())
        await ada.forgets()
        await ada.counts_gaps("bob")
        sick = other if used == turn.url() else turn
        await sick.kill()
        offered = f'auralink_turn_server_offered{{server="{sick.url()}",transport="udp"}}'

        async def left_the_list() -> bool:
            return (await server.metrics())[offered] == 0.0

        await eventually(left_the_list, 15.0)
        await ada.is_shown("bob")
        assert await ada.longest_gap("bob") < 1.0
        assert not await ada.told("media-state")
        assert await ada.page.evaluate("() => measure.connections.length") == 1
