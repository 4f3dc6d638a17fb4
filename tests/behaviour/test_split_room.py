"""Two instances that ran a room alone bring its people together when they hear of each other, and nobody sees a gap."""

from __future__ import annotations

import time

import pytest

from tests.support.call import all_meet, new_room
from tests.support.chromium import Chromium
from tests.support.instances import TINY, instances
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

TOGETHER_WITHIN = 20.0  # seconds
MOST = 1.0  # seconds without a new picture of those whom one watched before


@pytest.mark.timeout(120)
async def test_a_room_that_ran_at_two_instances_comes_together_within_20_s_and_without_a_gap(
    chromium: Chromium,
) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        await redis.kill()
        one, two = await cluster.start("one", "two")
        room = new_room()
        ada, bob = [await cluster.person(await chromium.page(), one.url, room, who, TINY) for who in ("ada", "bob")]
        cleo, dan = [await cluster.person(await chromium.page(), two.url, room, who, TINY) for who in ("cleo", "dan")]
        couples = ((ada, bob), (bob, ada), (cleo, dan), (dan, cleo))
        await all_meet([ada, bob])
        await all_meet([cleo, dan])
        assert list(await ada.roster()) == ["bob"]  # of the others nobody knows
        for who, other in couples:
            await who.hears("degraded", dependency="redis", mode="standalone", within=10)
            await who.counts_gaps(other.identity)
            await who.forgets()

        began = time.monotonic()
        await redis.restart()
        await all_meet([ada, bob, cleo, dan], within=TOGETHER_WITHIN)
        together = time.monotonic() - began

        gaps = {f"{who.identity} of {other.identity}": await who.longest_gap(other.identity) for who, other in couples}
        moved = [who.identity for who, _ in couples if await who.told("migrated")]
        print(f"all four saw and heard each other {together:.1f} s after Redis came; {' and '.join(moved)} moved;")
        print("longest time without a new picture: " + ", ".join(f"{who} {gap:.2f} s" for who, gap in gaps.items()))
        assert together <= TOGETHER_WITHIN
        assert set(moved) in ({"ada", "bob"}, {"cleo", "dan"})
        assert max(gaps.values()) <= MOST
        for who, other in couples:
            for flicker in ("participant-left", "track-unsubscribed"):
                assert not await who.told(flicker, identity=other.identity), flicker
            for trouble in ("reconnecting", "disconnected", "migration-failed", "error"):
                assert not await who.told(trouble), trouble
            assert len(await who.told("recovered", dependency="redis")) == 1
