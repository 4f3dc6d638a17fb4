"""A server that is to announce itself as STUN sees it starts without STUN too, and does so as soon as it can."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.sfu.offers import text_of
from tests.support.nat import behind_nat
from tests.support.network import private_network
from tests.support.server import RunningServer, running_server
from tests.support.turn_server import TurnServer
from tests.support.waiting import eventually

from .test_relays import token_for


async def announced(server: RunningServer) -> set[str]:
    """The addresses in the answer to the offer of somebody who joins now."""
    token = await token_for(server, "ada")
    async with server.websocket() as socket:
        await socket.send(json.dumps({"type": "join", "token": token}))
        await socket.send(json.dumps({"type": "offer", "sdp": text_of("chromium_publish_and_receive")}))
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == "answer":
                lines = message["sdp"].splitlines()
                return {line.split()[4] for line in lines if line.startswith("a=candidate:")}


async def public_address(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await server.request("/health/detailed")).body)
    (check,) = found["checks"]["media:publicAddress"]
    return {"status": found["status"], **check}


@asynccontextmanager
async def started_without(away: TurnServer, **options: Any) -> AsyncIterator[RunningServer]:
    """A server that started while `away` was, and it still is."""
    await away.kill()
    async with running_server(**options) as server:
        yield server


async def test_a_server_that_starts_without_stun_announces_its_own_addresses_and_later_what_it_learned() -> None:
    with private_network() as network, behind_nat(network) as home:
        async with (
            TurnServer(network=network) as stun,
            started_without(stun, network=home, media_ip="auto", stun=stun.stun_url) as server,
        ):
            public = home.address.replace("192.168.", "10.198.")
            own = await announced(server)
            assert home.address in own
            assert public not in own
            found = await public_address(server)
            assert (found["status"], found["observedValue"]) == ("warn", "unknown")
            assert "refused" in found["reason"]
            assert (await server.metrics())["auralink_media_address_unknown"] == 1.0
            assert "WARNING signalling.public_address: Media is announced at our own addresses" in server.log

            await stun.start()

            async def known() -> bool:
                return (await public_address(server))["observedValue"] == public

            await eventually(known, 20.0, every=0.1)
            assert await announced(server) == own - {home.address} | {public}
            assert (await server.metrics())["auralink_media_address_unknown"] == 0.0
            assert f"Media is announced at {public} for {home.address}" in server.log
