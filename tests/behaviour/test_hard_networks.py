"""People talk from networks that are against it: behind symmetric NATs, and behind firewalls that drop all UDP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.call import Person, all_meet, enter, new_room, prepare
from tests.support.chromium import running_chromium
from tests.support.firefox import running_firefox
from tests.support.nat import Home, any_tcp, behind_nat, only_tcp_to
from tests.support.network import Network
from tests.support.server import RunningServer, running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

KEY = "a secret that is long enough to be one"
PORT, MEDIA_PORT = 8080, 7882  # in a namespace of its own every port is free
# How the media of a page travels: the kind of its own candidate, for a relay its URL, and the protocol at both ends.
# (That of a relayed candidate is what the relay speaks with the server.)
PATH = """async () => {
  const report = await measure.connections.at(-1).getStats();
  const { selectedCandidatePairId } = [...report.values()].find(({ type }) => type === 'transport') ?? {};
  const pair = report.get(selectedCandidatePairId) ?? [...report.values()].find(({ selected }) => selected);
  if (!pair) return {};
  const [own, far] = [report.get(pair.localCandidateId), report.get(pair.remoteCandidateId)];
  return { kind: own.candidateType, url: own.url ?? null, own: own.protocol, far: far?.protocol };
}"""
# What the demo page puts up while something is away, on a page that is in a call.
BANNER = """async () => {
  const { DegradedBanner } = await import('/demo/degraded.js');
  document.body.append(Object.assign(document.createElement('div'), { id: 'degraded' }));
  new DegradedBanner(caller.room);
}"""


class Lab:
    """A server and a relay in one network, and people at homes of their own, who reach nothing else."""

    def __init__(self, network: Network, server: RunningServer, turn: TurnServer, stack: AsyncExitStack) -> None:
        self.server, self.turn = server, turn
        self.room = new_room()
        self._network, self._stack = network, stack
        self._origin = f"http://{network.address}:{PORT}"

    async def comes(self, identity: str, *rules: str, **options: Any) -> Person:
        """Somebody joins from behind a NAT that lets out what `rules` say, or everything."""
        return await self.joins(await self.page(*rules), identity, **options)

    async def page(self, *rules: str) -> Any:
        """A page in a browser behind a NAT of its own, with camera and microphone open."""
        return await self.page_in(self.home(*rules))

    def home(self, *rules: str) -> Home:
        """A place behind a NAT of its own, that lets out what `rules` say, or everything."""
        return self._stack.enter_context(behind_nat(self._network, rules) if rules else behind_nat(self._network))

    async def page_in(self, home: Home) -> Any:
        """A page in a browser there, with camera and microphone open."""
        trusted = f"--unsafely-treat-insecure-origin-as-secure={self._origin}"
        browser = await self._stack.enter_async_context(running_chromium(home, trusted))
        page = await browser.page()
        await prepare(page, self._origin)
        return page

    async def firefox_in(self, home: Home) -> Any:
        """The same in Firefox."""
        insecure = {"media.devices.insecure.enabled": True, "media.getusermedia.insecure.enabled": True}
        browser = await self._stack.enter_async_context(running_firefox(home, **insecure))
        page = await browser.page()
        await prepare(page, self._origin)
        return page

    async def joins(self, page: Any, identity: str, **options: Any) -> Person:
        """Join with a page that was prepared."""
        tokens, grant = Tokens((secret_key("a", KEY.encode()),)), Grant(frozenset(SOURCES))
        token = tokens.issue(room=self.room, identity=identity, wall=time.time(), lifetime=600.0, grant=grant)
        return await enter(page, self.server, self.room, identity, token=token, **options)

    @property
    def only_tcp(self) -> list[str]:
        """The rules of a network that lets out signalling and TCP to the relay, and nothing else: no UDP at all."""
        return only_tcp_to(PORT, self.turn.port)

    async def knows_relay(self, state: str) -> None:
        """Wait until the server has found the relay, over TCP, in this state."""
        name = f'auralink_turn_server_state{{server="{self.turn.url("tcp")}",state="{state}",transport="tcp"}}'

        async def measured() -> bool:
            return (await self.server.metrics()).get(name) == 1.0

        await eventually(measured, 20.0, every=0.1)


@asynccontextmanager
async def lab(network: Network) -> AsyncIterator[Lab]:
    """A lab whose relay works and is known to work."""
    assert network.namespace, "this needs root, for `ip netns` and iptables"
    async with (
        TurnServer(network=network) as turn,
        running_server(
            network=network,
            keys=f"a:{KEY}",
            host="0.0.0.0",
            port=PORT,
            media_port=MEDIA_PORT,
            media_ip=network.address,
            turn=f"{turn.url('udp')},{turn.url('tcp')}",
            stun=turn.stun_url,
            turn_secret=SECRET,
            turn_probe_interval=1,
            shutdown_grace=1,
        ) as server,
        AsyncExitStack() as stack,
    ):
        made = Lab(network, server, turn, stack)
        await made.knows_relay("up")
        yield made


async def path_of(who: Person) -> dict[str, str | None]:
    """How this person's media travels; empty while it does not."""
    return dict(await who.page.evaluate(PATH))


async def relay_of(who: Person) -> tuple[str | None, str | None]:
    """The kind of candidate that is used, and where the relay is, if it is one."""
    path = await path_of(who)
    return path.get("kind"), path.get("url")


async def seconds_until(happens: Awaitable[object]) -> float:
    """How long it took."""
    began = time.monotonic()
    await happens
    return time.monotonic() - began


async def is_on_ice_tcp(who: Person) -> bool:
    """Whether the media goes to the server's media port by TCP, over no relay."""
    path = await path_of(who)
    return path.get("own") == path.get("far") == "tcp" and path.get("kind") in ("host", "srflx", "prflx")


async def test_who_has_no_udp_talks_through_a_relay_over_tcp(network: Network) -> None:
    async with lab(network) as here:
        bob = await here.comes("bob")
        began = time.monotonic()
        ada = await here.comes("ada", *here.only_tcp)
        await all_meet([ada, bob])
        print(f"met {time.monotonic() - began:.1f} s after the browser was started")
        assert await relay_of(ada) == ("relay", here.turn.url("tcp"))


async def test_two_people_behind_symmetric_nats_talk_without_any_relay(network: Network) -> None:
    async with lab(network) as here:
        await here.turn.kill()
        await here.knows_relay("down")
        ada, bob = await here.comes("ada"), await here.comes("bob")
        await ada.hears("degraded", mode="stun-only")
        await all_meet([ada, bob])
        for who in (ada, bob):
            kind, relay = await relay_of(who)
            assert kind in ("host", "srflx", "prflx")
            assert not (relay or "").startswith("turn")


async def test_who_needs_a_relay_is_told_that_there_is_none_and_recovers_when_it_returns(network: Network) -> None:
    async with lab(network) as here:
        bob = await here.comes("bob")
        ada = await here.comes("ada", *here.only_tcp)
        await all_meet([ada, bob])
        late, other = await here.page(*here.only_tcp), await here.page(*here.only_tcp)
        await here.turn.kill()
        # In the call: told, and without media.
        await ada.hears("degraded", within=15, mode="stun-only")
        await ada.hears("media-state", within=30, state="disconnected")
        # Not yet in it: who would take nothing but a relay is told at once, and who would try comes in, and waits.
        with pytest.raises(Exception, match="no relay that works"):
            await here.joins(late, "dan", rtcConfiguration={"iceTransportPolicy": "relay"})
        eve = await here.joins(other, "eve")
        await eve.hears("degraded", mode="stun-only")
        for who in (ada, bob, eve):
            await who.forgets()

        await here.turn.start()
        returned = time.monotonic()
        for who in (ada, eve):
            await who.hears("recovered", within=15)
        await all_meet([ada, bob, eve], within=30)
        print(f"everybody saw everybody {time.monotonic() - returned:.1f} s after the relay returned")
        for who in (ada, eve):
            assert await relay_of(who) == ("relay", here.turn.url("tcp"))
            assert not await who.told("connected", rejoined=True)
        assert not await bob.told("participant-left")


@pytest.mark.parametrize("policy", ["all", "relay"])
async def test_firefox_on_a_relay_recovers_when_it_returns(policy: str, network: Network) -> None:
    async with lab(network) as here:
        bob = await here.comes("bob")
        page = await here.firefox_in(here.home(*here.only_tcp))
        ada = await here.joins(page, "ada", rtcConfiguration={"iceTransportPolicy": policy})
        await all_meet([ada, bob], within=20)
        assert (await relay_of(ada))[0] == "relay"
        await asyncio.sleep(2)  # media flows, as in a call that has lasted
        await here.turn.kill()
        died = time.monotonic()
        # By itself Firefox takes 13 s to notice; that the relay has left the list tells the page before.
        await ada.hears("media-state", within=8, state="disconnected")
        noticed = time.monotonic() - died
        await ada.hears("degraded", within=15, mode="stun-only")
        told = time.monotonic() - died
        for who in (ada, bob):
            await who.forgets()

        await here.turn.start()
        returned = time.monotonic()
        await ada.hears("recovered", within=15, dependency="turn")
        believed = time.monotonic() - returned
        await all_meet([ada, bob], within=40)
        met = time.monotonic() - returned
        print(
            f"trouble noticed {noticed:.1f} s and told {told:.1f} s after the relay died; "
            f"told {believed:.1f} s and met {met:.1f} s after it returned"
        )
        assert (await relay_of(ada))[0] == "relay"
        assert not await ada.told("error")
        assert not await ada.told("disconnected")
        assert not await ada.told("connected", rejoined=True)
        assert not await bob.told("participant-left")


@pytest.mark.parametrize(
    ("browser", "at_once"),
    [("chromium", True), ("chromium", False), ("firefox", True)],
    ids=["chromium", "chromium-once-told", "firefox"],
)
async def test_a_call_over_a_relay_goes_on_by_tcp_to_the_server_when_the_relay_dies(
    browser: str, at_once: bool, network: Network
) -> None:
    async with lab(network) as here:
        bob = await here.comes("bob")
        home = here.home(*here.only_tcp)
        page = await (here.page_in if browser == "chromium" else here.firefox_in)(home)
        ada = await here.joins(page, "ada")
        await ada.page.evaluate(BANNER)
        await all_meet([ada, bob], within=20)
        assert (await relay_of(ada))[0] == "relay"
        await asyncio.sleep(2)  # media flows, as in a call that has lasted
        for who, other in ((ada, "bob"), (bob, "ada")):
            await who.counts_gaps(other)

        await here.turn.kill()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            told = group.create_task(seconds_until(ada.hears("degraded", within=15, mode="stun-only")))
            if not at_once:
                await told
                assert not await is_on_ice_tcp(ada)
            # Before, her firewall let no TCP through to the media port: else she would never have needed the relay.
            home.opens(MEDIA_PORT)
            opened = time.monotonic()
            connected = await seconds_until(eventually(lambda: is_on_ice_tcp(ada), within=30, every=0.1))
            await all_meet([ada, bob])
            met = time.monotonic() - opened
        words = await ada.page.evaluate("() => document.querySelector('#degraded .warning p').textContent")
        assert "No relay works just now" in words
        pauses = [await ada.longest_gap("bob"), await bob.longest_gap("ada")]
        print(
            f"{browser}: told {told.result():.1f} s after the relay died; by ICE-TCP {connected:.1f} s and met "
            f"{met:.1f} s after the firewall let it; bob was not seen for {pauses[0]:.1f} s, ada for {pauses[1]:.1f} s"
        )
        assert max(pauses) < opened - began + 8
        assert not await ada.told("connected", rejoined=True)
        assert not await ada.told("reconnecting")
        assert not await bob.told("participant-left")


async def test_who_has_tcp_to_everywhere_needs_no_relay_and_is_left_alone_when_one_returns(network: Network) -> None:
    async with lab(network) as here:
        await here.turn.kill()
        await here.knows_relay("down")
        bob = await here.comes("bob")
        page = await here.page(*any_tcp())
        began = time.monotonic()
        ada = await here.joins(page, "ada")
        await ada.hears("degraded", mode="stun-only")
        print(f"told {time.monotonic() - began:.1f} s after joining")
        await all_meet([ada, bob])
        print(f"met {time.monotonic() - began:.1f} s after joining")
        assert await is_on_ice_tcp(ada)
        await asyncio.sleep(2)
        for who, other in ((ada, "bob"), (bob, "ada")):
            await who.forgets()
            await who.counts_gaps(other)

        await here.turn.start()
        returned = time.monotonic()
        await ada.hears("recovered", within=15, dependency="turn")
        print(f"told that a relay works again after {time.monotonic() - returned:.1f} s")
        await asyncio.sleep(3)  # time enough for what must not happen
        pauses = [await ada.longest_gap("bob"), await bob.longest_gap("ada")]
        print(f"the longest time without a new picture: {max(pauses):.2f} s")
        assert max(pauses) < 1
        assert await is_on_ice_tcp(ada)
        assert await ada.page.evaluate("() => measure.connections.length") == 1
        for who in (ada, bob):
            assert not await who.told("media-state")
