"""A client that shares no code with ours, on a WebRTC stack that is no browser's, is in a call with a browser."""

from __future__ import annotations

import re

import pytest

from tests.support.call import access_token, new_room, person
from tests.support.chromium import Chromium
from tests.support.independent import independent
from tests.support.server import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_chromium_and_aiortc_see_and_hear_each_other(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada")
    async with independent(server) as ira:
        await ira.join(await access_token(server, room, "ira"))
        await ira.sees_and_hears("ada")
        await ada.sees_and_hears("ira")
        bob = await person(await chromium.page(), server, room, "bob")
        await ira.sees_and_hears("bob")
        await bob.sees_and_hears("ira", "ada")
    await ada.hears("participant-left", identity="ira", within=1)  # it said goodbye by closing its socket


async def test_two_aiortc_clients_see_and_hear_each_other(server: RunningServer) -> None:
    room = new_room()
    async with independent(server) as ira, independent(server) as jon:
        await ira.join(await access_token(server, room, "ira"))
        await jon.join(await access_token(server, room, "jon"))
        await ira.sees_and_hears("jon")
        await jon.sees_and_hears("ira")


async def test_a_client_with_a_wrong_fingerprint_never_connects_and_harms_nobody(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada")
    bob = await person(await chromium.page(), server, room, "bob")
    await ada.sees_and_hears("bob")
    before = await ada.stream("bob", "camera")
    async with independent(server, tamper=with_another_fingerprint) as eve:
        await eve.join(await access_token(server, room, "eve"))
        refused = await eve.hears("media_state", state="failed", within=3)
        assert "fingerprint" in refused["message"]
        await bob.sees_and_hears("ada")
        await ada.sees_and_hears("bob")
        # eve ended her side of the handshake well and goes on sending; none of it counts, and nothing is sent to her.
        assert not eve.frames
        assert not await ada.told("first-frame", identity="eve")
        assert not [said for said in eve.told if said.get("state") == "connected"]
    after = await ada.stream("bob", "camera")
    assert before
    assert after
    assert after.packets_lost == before.packets_lost


def with_another_fingerprint(sdp: str) -> str:
    """The offer of a client whose certificate is not the one that it names."""

    def another(line: re.Match[str]) -> str:
        return line[1] + ("01" if line[2] == "00" else "00")

    return re.sub(r"(a=fingerprint:\S+ )(\S\S)", another, sdp)
