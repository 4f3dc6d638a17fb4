"""Redis dies and comes back, again and again: the call goes on as if nothing were, and people are told what is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import direct_call
from tests.support.call import all_meet
from tests.support.chromium import Chromium
from tests.support.instances import SMALL, Instance, instances, token_for
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

OUTAGE = 8.0  # seconds
BRIEFLY, LONG = 2, 3  # rounds
TOLD_WITHIN = 5.0  # seconds after the death
FIRST_STAY = 5.0  # seconds that a mode lasts at least; twice as long after each short spell (state/modes.py)
RETURNS_WITHIN = 9.0  # seconds after that and the restart: a trial, and the exchange of what changed

# How the room's pictures of the other one and those of the direct call arrive, by the browser's own statistics.
FIGURES = """async (identity) => {
    const [ours] = (await caller.inbound()).filter((one) => one.identity === identity && one.source === 'camera');
    const [direct] = [...(await measure.direct.getStats()).values()].filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    return Object.fromEntries(Object.entries({ ours, direct }).map(
        ([name, { framesDecoded, freezeCount, totalFreezesDuration }]) => [name, { framesDecoded, freezeCount, totalFreezesDuration }],
    ));
}"""  # noqa: E501

# Whatever the page of a person says in passing, for as long as it is there.
LISTEN = """() => {
    window.said = [];
    new MutationObserver((all) => {
        for (const { addedNodes } of all) for (const node of addedNodes) said.push(node.textContent);
    }).observe(document.querySelector('#toasts'), { childList: true });
}"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "rounds", [pytest.param(BRIEFLY, id="briefly"), pytest.param(LONG, id="long", marks=pytest.mark.long)]
)
async def test_a_call_goes_on_while_redis_is_killed_and_restarted_and_people_are_told(
    rounds: int, chromium: Chromium
) -> None:
    async with redis_server() as redis, instances(redis) as cluster:
        one, two = await cluster.start("one", "two")
        await cluster.meet()
        room = await cluster.room_at(one)
        ada, bob = [await cluster.person(await chromium.page(), one.url, room, who) for who in ("ada", "bob")]
        await all_meet([ada, bob])
        async with somebody_elsewhere(two, room, "dan"):
            eve = await onlooker(chromium, one, room)
            await ada.hears("participant-joined", identity="eve")
            await ada.hears("participant-joined", identity="dan", presence="elsewhere")
            await expect(tile(eve, "Dan")).to_contain_text("Connected through another server")
            await direct_call(ada.page, bob.page, {"audio": False, "video": SMALL["camera"]})
            for who, other in ((ada, "bob"), (bob, "ada")):
                await who.counts_gaps(other)
                await who.forgets()
            await eve.evaluate(LISTEN)
            await asyncio.sleep(2)  # both calls find their pace
            before = [await ada.page.evaluate(FIGURES, "bob"), await bob.page.evaluate(FIGURES, "ada")]
            began = time.monotonic()
            banner = eve.locator("#degraded .banner.warning")
            for number in range(1, rounds + 1):
                killed = time.monotonic()
                await redis.kill()
                await expect(banner).to_contain_text("Your call goes on.", timeout=1000 * TOLD_WITHIN)
                told = time.monotonic() - killed
                await expect(tile(eve, "Dan")).to_contain_text("Connection to their server is interrupted")
                await asyncio.sleep(OUTAGE - told)
                restarted = time.monotonic()
                over_within = RETURNS_WITHIN + max(0.0, FIRST_STAY * 2 ** (number - 1) - OUTAGE)
                await redis.restart()
                await expect(banner).to_have_count(0, timeout=1000 * over_within)
                await expect(eve.locator("#degraded .banner.good")).to_contain_text("All is well again.")
                over = time.monotonic() - restarted
                await expect(tile(eve, "Dan")).to_contain_text("Connected through another server")
                print(f"round {number}: the banner came {told:.1f} s after death and went {over:.1f} s after the start")
                for who in (ada, bob):
                    assert len(await who.told("degraded", mode="standalone")) == number
                    assert len(await who.told("recovered", dependency="redis")) == number
                if number < rounds:  # within the minimum stay nothing new is told
                    await asyncio.sleep(FIRST_STAY * 2 ** (number - 1) + 1)
            lasted = time.monotonic() - began
            after = [await ada.page.evaluate(FIGURES, "bob"), await bob.page.evaluate(FIGURES, "ada")]
            await all_meet([ada, bob])
            judge(before, after, lasted)
            for who, other in ((ada, "bob"), (bob, "ada")):
                gap = await who.longest_gap(other)
                print(f"{who.identity} saw no new picture for at most {1000 * gap:.0f} ms in {lasted:.0f} s")
                assert gap < 1
                for flicker in ("participant-left", "participant-joined", "track-unsubscribed", "track-unpublished"):
                    assert not await who.told(flicker), flicker
                for trouble in ("reconnecting", "disconnected", "migrated", "migration-failed", "error"):
                    assert not await who.told(trouble), trouble
            assert await eve.evaluate("() => said") == []  # nobody joined, and nobody left
            await ada.says("all the time")
            await bob.hears("chat", text="all the time")


def judge(before: Sequence[Any], after: Sequence[Any], lasted: float) -> None:
    """Print and compare what both pages saw in both calls."""

    def grown(call: str, what: str) -> float:
        return float(sum(now[call][what] - then[call][what] for then, now in zip(before, after, strict=True)))

    for call in ("ours", "direct"):
        print(
            f"{call}: {grown(call, 'framesDecoded') / 2 / lasted:.1f} pictures per second, "
            f"{grown(call, 'freezeCount'):.0f} freezes of {grown(call, 'totalFreezesDuration'):.1f} s together"
        )
    assert grown("ours", "framesDecoded") > 0.9 * grown("direct", "framesDecoded")
    assert grown("ours", "freezeCount") <= grown("direct", "freezeCount")


@asynccontextmanager
async def somebody_elsewhere(instance: Instance, room: str, identity: str) -> AsyncIterator[None]:
    """A person without media at another instance than the room's home, who stays there whatever is asked."""
    async with instance.server.websocket() as socket:
        join = {"type": "join", "token": token_for(room, identity), "stay": True, "request": "1"}
        await socket.send(json.dumps(join))
        assert json.loads(await socket.recv())["type"] == "welcome"
        yield


async def onlooker(chromium: Chromium, instance: Instance, room: str) -> Page:
    """The demo page of an instance, with somebody before it who only looks."""
    page = (await chromium.page(viewport={"width": 1000, "height": 700})).playwright
    await page.goto(f"{instance.url}/?room={room}#token={token_for(room, 'eve')}")
    await page.get_by_label("Your name").fill("Eve")
    for switch in (page.locator("#lobby-camera"), page.locator("#lobby-mic")):
        await expect(switch).to_have_attribute("aria-pressed", "true", timeout=10_000)
        await switch.click()
    await page.get_by_role("button", name="Join now").click()
    await expect(tile(page, "Ada").locator("video")).to_be_visible(timeout=15_000)
    return page


def tile(page: Page, name: str) -> Any:
    """The tile of another person."""
    return page.locator("#tiles article.tile", has_text=name)
