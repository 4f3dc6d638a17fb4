"""Every instance is restarted, one after the other, and a call that is going on does not see any of it."""

from __future__ import annotations

import pytest

from tests.support.call import all_meet
from tests.support.chromium import Chromium
from tests.support.instances import instances
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

MOST = 1.0  # seconds without a new picture


@pytest.mark.timeout(150)
async def test_a_rolling_restart_of_three_instances_ends_no_call_and_leaves_no_gap(chromium: Chromium) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        await cluster.start("one", "two", "three", shutdown_grace=16)
        await cluster.meet()
        first = cluster.all[0]
        room = await cluster.room_at(first)
        ada, bob = [await cluster.person(await chromium.page(), first.url, room, who) for who in ("ada", "bob")]
        await all_meet([ada, bob])
        for who, other in ((ada, "bob"), (bob, "ada")):
            await who.counts_gaps(other)
            await who.forgets()

        moves = 0
        for instance in cluster.all:
            hosted = await instance.metric("auralink_participants")
            lasted = await instance.end()
            moves += hosted > 0
            for who, other in ((ada, "bob"), (bob, "ada")):
                print(
                    f"{instance.name} with {hosted:.0f} people ended in {lasted:.1f} s; "
                    f"{who.identity} saw no new picture for at most {await who.longest_gap(other) * 1000:.0f} ms so far"
                )
            await instance.start()
            await cluster.meet()

        await all_meet([ada, bob])
        assert moves >= 1
        for who, other in ((ada, "bob"), (bob, "ada")):
            assert await who.longest_gap(other) <= MOST
            assert len(await who.told("migrated")) == moves
            for trouble in ("reconnecting", "disconnected", "migration-failed", "error", "participant-left"):
                assert not await who.told(trouble), trouble
        await ada.says("still here")
        await bob.hears("chat", text="still here")
