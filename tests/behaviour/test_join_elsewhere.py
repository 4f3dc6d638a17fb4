"""Whoever comes to the wrong instance gets to the right one, and whoever loses an instance goes on at another."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import expect

from tests.support.balancer import balancer
from tests.support.call import all_meet
from tests.support.chromium import Chromium
from tests.support.instances import Instance, instances, token_for
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

NAMES = ("ada", "bob", "cleo")


async def hosts(instance: Instance, people: int) -> None:
    """Wait until so many people are at this instance."""

    async def count() -> bool:
        return await instance.metric("auralink_participants") == people

    await eventually(count)


async def test_who_comes_to_another_instance_than_the_home_of_the_room_meets_the_others_there(
    chromium: Chromium,
) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        one, two = await cluster.start("one", "two")
        await cluster.meet()
        room = await cluster.room_at(one)
        ada = await cluster.person(await chromium.page(), one.url, room, "ada")
        began = time.monotonic()
        bob = await cluster.person(await chromium.page(), two.url, room, "bob")
        await bob.hears("first-frame", identity="ada")
        print(f"the first picture came {time.monotonic() - began:.2f} s after the page began to load")
        await all_meet([ada, bob])
        await hosts(one, 2)
        await hosts(two, 0)
        assert not await bob.told("degraded")


async def test_the_demo_page_of_one_instance_may_go_to_another_one(chromium: Chromium) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        one, two = await cluster.start("one", "two", allowed_origins=None)
        await cluster.meet()
        room = await cluster.room_at(one)
        pages = []
        for instance, name in ((one, "ada"), (two, "bob")):
            page = await chromium.page()
            await page.goto(f"{instance.url}/#token={token_for(room, name)}")
            await page.playwright.get_by_role("button", name="Join now").click()
            pages.append(page)
        for page, other in zip(pages, ("Bob", "Ada"), strict=True):
            tile = page.playwright.locator("#tiles article.tile", has_text=other)
            await expect(tile.locator("video")).to_be_visible(timeout=15_000)
            complaints = [line for line in page.console if line.startswith(("error", "warning"))]
            assert not complaints
        await hosts(one, 2)
        await hosts(two, 0)


async def test_behind_a_load_balancer_people_meet_and_go_on_when_the_instance_of_their_call_is_killed(
    chromium: Chromium,
) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        one, two = await cluster.start("one", "two")
        async with balancer(one.port, two.port) as front:
            await cluster.meet()
            room = await cluster.room_at(one)
            people = [await cluster.person(await chromium.page(), front.url, room, name) for name in NAMES]
            await all_meet(people)
            await hosts(one, 3)
            assert {*front.passed} == {one.port, two.port}
            for who in people:
                for other in people:
                    if other is not who:
                        await who.counts_gaps(other.identity)
                await who.forgets()

            began = time.monotonic()
            await one.kill()
            for who in people:
                await who.hears("connected", rejoined=True, within=15)
            back = time.monotonic() - began
            await all_meet(people)
            together = time.monotonic() - began
            await hosts(two, 3)
            gaps = [await who.longest_gap(other.identity) for who in people for other in people if other is not who]
            print(
                f"all were back {back:.1f} s after their instance was killed, and all saw and heard each other again "
                f"after {together:.1f} s; the longest time without a new picture was {max(gaps):.1f} s"
            )
            assert max(gaps) < 6
            # The dead one is forgotten, nobody is sent there any more, and the call stays as it is.
            for who in people:
                await who.forgets()
            await one.start()
            await cluster.meet(within=30)
            await all_meet(people)
            await hosts(two, 3)
            for who in people:
                for trouble in ("reconnecting", "disconnected", "migrated", "migration-failed", "participant-left"):
                    assert not await who.told(trouble), trouble


async def test_who_cannot_reach_the_home_of_the_room_is_served_where_they_are_and_the_others_come_to_them(
    chromium: Chromium,
) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        # Clients are told an address of this one at which nobody answers.
        [far] = await cluster.start("far", advertise_url="ws://localhost:9/ws")
        [near] = await cluster.start("near")
        await cluster.meet()
        room = await cluster.room_at(far)
        ada = await cluster.person(await chromium.page(), far.url, room, "ada")
        began = time.monotonic()
        bob = await cluster.person(await chromium.page(), near.url, room, "bob")
        print(f"who could not get to the home was in {time.monotonic() - began:.1f} s after the page began to load")
        cleo = await cluster.person(await chromium.page(), near.url, room, "cleo")
        await all_meet([bob, cleo])
        await all_meet([ada, bob, cleo], within=15)
        print(f"all saw and heard each other {time.monotonic() - began:.1f} s after that")
        await hosts(near, 3)
        await ada.hears("migrated")
        for who in (bob, cleo):
            for trouble in ("migration-failed", "migrated", "reconnecting", "error"):
                assert not await who.told(trouble), trouble
