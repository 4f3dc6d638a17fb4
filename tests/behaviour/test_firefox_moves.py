"""Firefox goes where the servers send it: to the home of a room, and on from an instance that ends."""

from __future__ import annotations

import pytest

from tests.support.call import all_meet
from tests.support.chromium import running_chromium
from tests.support.firefox import running_firefox
from tests.support.instances import instances
from tests.support.network import Network
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

MOST = 1.0  # seconds without a new picture


@pytest.mark.timeout(120)
async def test_firefox_is_redirected_and_handed_over_without_a_gap(network: Network) -> None:
    async with (
        redis_server(network) as redis,
        instances(redis, network) as cluster,
        running_firefox(network) as firefox,
        running_chromium(network) as chromium,
    ):
        one, two = await cluster.start("one", "two", shutdown_grace=16)
        await cluster.meet()
        room = await cluster.room_at(one)
        ada = await cluster.person(await chromium.page(), one.url, room, "ada")
        fay = await cluster.person(await firefox.page(), two.url, room, "fay")
        await all_meet([ada, fay], within=15)
        assert await one.metric("auralink_participants") == 2

        for who, other in ((ada, "fay"), (fay, "ada")):
            await who.counts_gaps(other)
            await who.forgets()
        lasted = await one.end()
        await all_meet([ada, fay])
        assert await two.metric("auralink_participants") == 2
        for who, other in ((ada, "fay"), (fay, "ada")):
            gap = await who.longest_gap(other)
            print(f"{who.identity} saw no new picture for at most {1000 * gap:.0f} ms; the end took {lasted:.1f} s")
            assert gap <= MOST
            assert await who.told("migrated")
            for trouble in ("reconnecting", "disconnected", "migration-failed", "error", "participant-left"):
                assert not await who.told(trouble), trouble
