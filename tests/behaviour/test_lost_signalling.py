"""A dropped WebSocket is not a dropped call: media goes on, nobody sees a leave, and what was missed arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.call import Person, all_meet, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_page_whose_socket_is_cut_keeps_its_media_and_resumes(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    async with tcp_proxy(server.url) as proxy:
        ada, bob = await couple(chromium, server, proxy, room)
        ssrc = await ssrc_of(ada, "bob")
        await ada.forgets()
        await bob.forgets()
        proxy.cut()
        await ada.hears("reconnecting")

        # While the socket is gone: pictures and sound both ways, and life in the room.
        await bob.says("did you see that?")
        await bob.mutes("microphone")
        cleo = await person(await chromium.page(), server, room, "cleo", {})
        for _ in range(2):
            await ada.is_shown("bob", "camera", within=1.5)
            await bob.is_shown("ada", "camera", within=1.5)
            await bob.is_shown("ada", "microphone", within=1.5)
        assert not await ada.told("resumed")

        proxy.mend()
        await ada.hears("resumed", within=8)
        await ada.hears("chat", within=1, text="did you see that?", identity=None)
        await ada.hears("participant-joined", within=1, identity="cleo")
        await ada.hears("muted", within=1, identity="bob", source="microphone")
        assert await ada.roster() == {"bob": {"camera": False, "microphone": True}, "cleo": {}}
        assert len(await ada.told("chat")) == 1
        assert len(await ada.told("resumed")) == 1
        assert not await ada.told("connected")

        # Still the same streams on the same connection, and nobody saw anything of it.
        await ada.is_shown("bob", "camera", within=2)
        await bob.sees_and_hears("ada", within=3)
        assert await ssrc_of(ada, "bob") == ssrc
        assert await ada.page.evaluate("() => measure.connections.length") == 1
        for witness in (bob, cleo):
            assert not await witness.told("participant-left")
            assert not await witness.told("track-unpublished")
        assert not await bob.told("participant-joined", identity="ada")
        assert not await ada.told("participant-left")
        assert not await ada.told("track-unsubscribed")

        # And the resumed session is a whole one.
        await ada.says("now I do")
        await bob.hears("chat", text="now I do")


async def test_what_was_muted_without_a_socket_is_told_on_resuming(chromium: Chromium, server: RunningServer) -> None:
    async with tcp_proxy(server.url) as proxy:
        ada, bob = await couple(chromium, server, proxy, new_room())
        proxy.cut()
        await ada.hears("reconnecting")
        await ada.mutes("camera")
        proxy.mend()
        await ada.hears("resumed", within=8)
        await bob.hears("muted", within=1, identity="ada", source="camera")


async def test_who_does_not_come_back_within_the_window_leaves_and_is_taken_in_anew_later(
    chromium: Chromium,
    other_server: Callable[..., Awaitable[RunningServer]],
) -> None:
    server = await other_server(resume_window=1)
    async with tcp_proxy(server.url) as proxy:
        ada, bob = await couple(chromium, server, proxy, new_room())
        await bob.forgets()
        await ada.forgets()
        proxy.cut()
        left = await bob.hears("participant-left", identity="ada")
        assert left["reason"] == "timeout"
        proxy.mend()
        await ada.hears("connected", within=8, rejoined=True)
        await bob.hears("participant-joined", identity="ada")
        await all_meet([ada, bob])


async def couple(chromium: Chromium, server: RunningServer, proxy: TcpProxy, room: str) -> tuple[Person, Person]:
    """Ada, whose page and socket come through the proxy, and Bob."""
    ada = await person(await chromium.page(), server, room, "ada", through=proxy.url)
    bob = await person(await chromium.page(), server, room, "bob")
    await all_meet([ada, bob])
    assert proxy.accepted
    return ada, bob


async def ssrc_of(who: Person, other: str) -> int:
    """The SSRC that carries the other's camera."""
    stream = await eventually(lambda: who.stream(other, "camera"))
    return stream.ssrc
