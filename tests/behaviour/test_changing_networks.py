"""A call holds when the network under it changes: another address, or a NAT that forgets."""

from __future__ import annotations

import asyncio
import time

import pytest

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.call import Person, all_meet, enter, new_room, prepare
from tests.support.chromium import running_chromium
from tests.support.fay_and_ada import fay_and_ada
from tests.support.network import Network, neighbour, replace_address
from tests.support.server import running_server
from tests.support.udp_proxy import udp_proxy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BACK_WITHIN = 3.0  # seconds
SECRET = "a secret that is long enough to be one"
HERE, BEFORE, AFTER = "10.198.0.1", "10.198.0.2", "10.198.0.3"
MEDIA_PORT = 7882  # in a namespace of its own every port is free


async def test_a_page_whose_address_is_replaced_restarts_ice_and_has_its_media_back(network: Network) -> None:
    with neighbour(network, HERE, BEFORE) as elsewhere:
        options = {"keys": f"a:{SECRET}", "host": "0.0.0.0", "port": 8080, "media_ip": HERE}
        origin = f"http://{HERE}:8080"
        async with (
            running_server(network=network, shutdown_grace=1, **options) as server,
            running_chromium(network) as near,
            running_chromium(elsewhere, f"--unsafely-treat-insecure-origin-as-secure={origin}") as far,
        ):
            room = new_room()
            people = []
            for browser, url, identity in ((near, "http://localhost:8080", "bob"), (far, origin, "ada")):
                page = await browser.page()
                await prepare(page, url)
                people.append(await enter(page, server, room, identity, token=token(room, identity)))
            bob, ada = people
            await all_meet(people)
            await asyncio.sleep(2)
            before = await ufrag_of(ada)
            await watch(ada, bob)

            replace_address(elsewhere, BEFORE, AFTER)
            began = time.monotonic()
            await eventually(lambda: is_another(ada, before), within=10)
            print(f"restarted ICE after {time.monotonic() - began:.1f} s")
            await asyncio.sleep(BACK_WITHIN)
            await all_meet(people, within=10)
            await report(ada, bob)
            assert await ada.page.evaluate("() => measure.connections.length") == 1
            assert not await bob.told("participant-left")


async def test_a_nat_that_forgets_its_port_is_followed_without_an_ice_restart(network: Network) -> None:
    async with (
        udp_proxy((network.address, MEDIA_PORT), host=network.address, network=network) as nat,
        running_server(
            network=network,
            shutdown_grace=1,
            media_port=MEDIA_PORT,
            media_ip=f"{network.address}={network.address}:{nat.address[1]}",
        ) as server,
        fay_and_ada(network, server) as call,
    ):
        fay, ada = call.fay, call.ada
        await asyncio.sleep(2)
        before = [await ufrag_of(who) for who in (fay, ada)]
        await watch(fay, ada)
        nat.rebind()
        await asyncio.sleep(BACK_WITHIN + 0.5)
        await all_meet([fay, ada])
        await report(fay, ada)
        assert [await ufrag_of(who) for who in (fay, ada)] == before
        assert nat.forwarded


def token(room: str, identity: str) -> str:
    """An access token of the server with keys."""
    tokens, grant = Tokens((secret_key("a", SECRET.encode()),)), Grant(frozenset(SOURCES))
    return tokens.issue(room=room, identity=identity, wall=time.time(), lifetime=600.0, grant=grant)


async def ufrag_of(who: Person) -> str:
    """The ICE generation of a page."""
    sdp = await who.page.evaluate("() => caller.room.connection.localDescription.sdp")
    return str(sdp).partition("a=ice-ufrag:")[2].split()[0]


async def is_another(who: Person, ufrag: str) -> bool:
    """Whether ICE was restarted since."""
    return await ufrag_of(who) != ufrag


async def watch(one: Person, other: Person) -> None:
    """Measure for how long either sees nothing new of the other."""
    await one.counts_gaps(other.identity)
    await other.counts_gaps(one.identity)


async def report(one: Person, other: Person) -> None:
    """Print the gaps, none of which may be too long."""
    for who, seen in ((one, other), (other, one)):
        gap = await who.longest_gap(seen.identity)
        print(f"{who.identity} saw nothing new of {seen.identity} for {gap:.2f} s")
        assert gap <= BACK_WITHIN
