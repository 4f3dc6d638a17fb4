"""Behind a firewall that lets no UDP through, and with no relay anywhere, people take part in a call by TCP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.browser import Page
from tests.support.call import Person, all_meet, enter, new_room, prepare
from tests.support.chromium import Chromium, running_chromium
from tests.support.firefox import running_firefox
from tests.support.network import Network, neighbour, no_udp
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SECRET = "a secret that is long enough to be one"
HERE, THERE = "10.198.0.1", "10.198.0.2"
ORIGIN = f"http://{HERE}:8080"
SELECTED = """async () => {
  const stats = [...(await caller.room.connection.getStats()).values()];
  const transport = stats.find(({ type }) => type === 'transport');
  const pair = stats.find(({ id }) => id === transport?.selectedCandidatePairId);
  return stats.find(({ id }) => id === pair?.remoteCandidateId)?.protocol ?? '';
}"""


@dataclass
class Place:
    """A server, a browser beside it, and a network apart whose people may have a firewall."""

    server: RunningServer
    near: Chromium
    apart: Network

    async def bob(self, room: str) -> Person:
        """Somebody whose UDP works."""
        return await somebody(await self.near.page(), self.server, "http://localhost:8080", room, "bob")

    async def ada(self, room: str, page: Page) -> Person:
        """Somebody in the network apart."""
        return await somebody(page, self.server, ORIGIN, room, "ada")

    async def on_tcp(self) -> float:
        """How many take part by TCP."""
        return (await self.server.metrics())["auralink_media_peers_on_tcp"]


@asynccontextmanager
async def place(network: Network) -> AsyncIterator[Place]:
    """A server without TURN, that is reached from a network apart."""
    options = {"keys": f"a:{SECRET}", "host": "0.0.0.0", "port": 8080, "media_ip": HERE, "admin_bind": "127.0.0.1:9090"}
    with neighbour(network, HERE, THERE) as apart:
        async with (
            running_server(network=network, shutdown_grace=1, **options) as server,
            running_chromium(network) as near,
        ):
            yield Place(server, near, apart)


async def somebody(page: Page, server: RunningServer, url: str, room: str, identity: str) -> Person:
    """A page in the room, with camera and microphone."""
    tokens, grant = Tokens((secret_key("a", SECRET.encode()),)), Grant(frozenset(SOURCES))
    token = tokens.issue(room=room, identity=identity, wall=time.time(), lifetime=600.0, grant=grant)
    await prepare(page, url)
    return await enter(page, server, room, identity, token=token)


def secure(origin: str) -> str:
    """The option by which Chromium gives a camera to a page of this origin."""
    return f"--unsafely-treat-insecure-origin-as-secure={origin}"


async def test_somebody_whose_udp_is_blocked_sees_and_hears_the_others_and_is_seen(network: Network) -> None:
    async with place(network) as here, running_chromium(here.apart, secure(ORIGIN)) as far:
        room = new_room()
        with no_udp(here.apart):
            bob, ada = await here.bob(room), await here.ada(room, await far.page())
            began = time.monotonic()
            await all_meet([bob, ada], within=15)
            print(f"they met within {time.monotonic() - began:.1f} s")
            assert [await who.page.evaluate(SELECTED) for who in (bob, ada)] == ["udp", "tcp"]
            assert await here.on_tcp() == 1
            await ada.counts_gaps("bob")
            await bob.counts_gaps("ada")
            await asyncio.sleep(5)
            gaps = [await ada.longest_gap("bob"), await bob.longest_gap("ada")]
            print(f"the longest time without a new picture: {max(gaps):.2f} s")
            assert max(gaps) < 1
        assert (await here.server.metrics())["auralink_tcp_bytes_dropped_total"] == 0


async def test_a_call_goes_on_by_tcp_when_udp_is_blocked_and_back_by_udp_when_it_is_not(network: Network) -> None:
    async with place(network) as here, running_chromium(here.apart, secure(ORIGIN)) as far:
        room = new_room()
        bob, ada = await here.bob(room), await here.ada(room, await far.page())
        await all_meet([bob, ada])
        assert await ada.page.evaluate(SELECTED) == "udp"
        await asyncio.sleep(2)
        with no_udp(here.apart):
            began = time.monotonic()
            await eventually(here.on_tcp, within=25)
            print(f"on TCP {time.monotonic() - began:.1f} s after UDP was blocked")
            await all_meet([bob, ada], within=10)
            await asyncio.sleep(1)
        await ada.page.evaluate("() => caller.room.connection.restartIce()")
        await eventually(lambda: is_on(ada, "udp"), within=15)
        await all_meet([bob, ada])
        assert not await bob.told("participant-left")


async def is_on(who: Person, protocol: str) -> bool:
    """Whether somebody's media takes this protocol."""
    return bool(await who.page.evaluate(SELECTED) == protocol)


async def test_firefox_does_too(network: Network) -> None:
    preferences = {"media.devices.insecure.enabled": True, "media.getusermedia.insecure.enabled": True}
    async with place(network) as here, running_firefox(here.apart, **preferences) as far:
        room = new_room()
        with no_udp(here.apart):
            bob, ada = await here.bob(room), await here.ada(room, await far.page())
            await all_meet([bob, ada], within=20)
            assert await here.on_tcp() == 1
