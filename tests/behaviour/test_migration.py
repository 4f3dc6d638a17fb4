"""A server that ends hands its calls over to another one, and people who watch each other do not see it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.call import Person, all_meet, enter, new_room, prepare
from tests.support.chromium import Chromium
from tests.support.server import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

SECRET = "a secret that both instances share"
MOST = 1.0  # seconds without a new picture


@pytest_asyncio.fixture(loop_scope="session")
async def servers() -> AsyncIterator[tuple[RunningServer, RunningServer]]:
    """Two instances that know the same keys; the first hands over to the second when it is asked to end."""
    options = {"keys": f"a:{SECRET}", "host": "localhost", "media_ip": "127.0.0.1", "allowed_origins": "*"}
    async with (
        running_server(**options, shutdown_grace=1) as there,
        running_server(**options, shutdown_grace=16, migrate_to=there.url) as here,
    ):
        yield here, there


async def test_people_who_watch_each_other_are_handed_over_without_a_gap(
    chromium: Chromium, servers: tuple[RunningServer, RunningServer]
) -> None:
    here, there = servers
    ada, bob = await couple(chromium, here)
    for who, other in ((ada, "bob"), (bob, "ada")):
        await who.counts_gaps(other)
        await who.forgets()
    began = time.monotonic()
    assert await here.stop(within=20) == 0
    lasted = time.monotonic() - began
    for who in (ada, bob):
        await who.hears("migrated", within=1)
    await all_meet([ada, bob])
    for who, other in ((ada, "bob"), (bob, "ada")):
        gap = await who.longest_gap(other)
        print(f"{who.identity} saw no new picture for at most {gap * 1000:.0f} ms; the server ended in {lasted:.1f} s")
        assert gap <= MOST
        for flicker in ("participant-left", "participant-joined", "track-unsubscribed", "track-subscribed"):
            assert not await who.told(flicker), flicker
        for trouble in ("reconnecting", "disconnected", "migration-failed", "error"):
            assert not await who.told(trouble), trouble
    # The stay there is a whole one.
    await bob.mutes("microphone")
    await ada.hears("muted", identity="bob", source="microphone")
    await ada.says("still here")
    await bob.hears("chat", text="still here")
    assert (await there.metrics())["auralink_participants"] == 2
    assert "Traceback" not in here.log + there.log


async def test_who_cannot_go_elsewhere_stays_until_the_end_and_says_so(chromium: Chromium) -> None:
    options = {"keys": f"a:{SECRET}", "host": "localhost", "media_ip": "127.0.0.1"}
    async with running_server(**options, shutdown_grace=8, migrate_to="http://localhost:9") as here:
        ada, _ = await couple(chromium, here)
        await ada.counts_gaps("bob")
        here.process.terminate()
        await ada.hears("migration-failed", within=5)
        assert await ada.longest_gap("bob") < MOST
        await ada.hears("reconnecting", within=5)
        assert not await ada.told("migrated")


async def couple(chromium: Chromium, server: RunningServer) -> tuple[Person, Person]:
    """Ada and Bob, who watch each other."""
    room = new_room()
    tokens = Tokens((secret_key("a", SECRET.encode()),))
    people = []
    for identity in ("ada", "bob"):
        grant = Grant(frozenset(SOURCES))
        token = tokens.issue(room=room, identity=identity, wall=time.time(), lifetime=600.0, grant=grant)
        page = await chromium.page()
        await prepare(page, server.url)
        people.append(await enter(page, server, room, identity, token=token))
    ada, bob = people
    await all_meet([ada, bob])
    return ada, bob
