"""Whatever way a connection ends, all that served it is freed by reference counting alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httptools
import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.server import ServerProtocol
from websockets.typing import Origin

from signalling import messages as m
from signalling.outbox import Outbox
from signalling.session import Session, Socket
from signalling.websocket import Connection
from signalling.websocket_protocol import HttpProtocol, WebSocketProtocol
from tests.support.freed import living, nothing_left

from .conftest import House, Open

HTTP = {HttpProtocol, httptools.HttpRequestParser}
PARTS = {WebSocketProtocol, ServerProtocol, WebSocket, Connection, Outbox, Socket, Session, *HTTP}


async def left(home: House) -> None:
    async with home.member("ada") as ada:
        await ada.say(type="leave")
        await ada.is_closed(1000)


async def said_nonsense(home: House) -> None:
    async with home.member("ada") as ada:
        await ada.socket.send("{")
        await ada.hear(m.Error)
        await ada.say(type="leave")
        await ada.is_closed(1000)


async def cut_off(home: House) -> None:
    async with home.member("ada") as ada:
        ada.socket.transport.abort()
        await ada.socket.wait_closed()


async def broke_the_protocol(home: House) -> None:
    async with home.member("ada") as ada:
        ada.socket.transport.write(b"\x81\x02hi")  # a client's frames must be masked
        await ada.is_closed(1002)


async def sent_too_much(home: House) -> None:
    async with home.member("ada") as ada:
        await ada.socket.send("x" * 100_000)
        await ada.is_closed(1009)


async def refused_at_the_door(home: House) -> None:
    with pytest.raises(InvalidStatus):
        async with home.socket(origin=Origin("https://elsewhere.example")):
            pass


async def refused(home: House) -> None:
    async with home.socket() as stranger:
        await stranger.say(type="join", token="none of ours")
        assert (await stranger.hear(m.Error)).code == "token_invalid"
        await stranger.is_closed(1008)


async def asked_by_http(home: House) -> None:
    async with home.http() as client:
        assert (await client.get("/api/schema")).status_code == 200
        assert (await client.get("/nothing")).status_code == 404


ENDS: list[Callable[[House], Awaitable[None]]] = [
    *(left, said_nonsense, cut_off, broke_the_protocol, sent_too_much),
    *(refused_at_the_door, refused, asked_by_http),
]


@pytest.mark.parametrize("end", ENDS, ids=[end.__name__.replace("_", " ") for end in ENDS])
async def test_a_connection_that_is_over_is_freed_without_the_collector(
    house: Open, end: Callable[[House], Awaitable[None]]
) -> None:
    async with house(resume_window=0.5, max_message_bytes=50_000) as home, nothing_left(PARTS, within=5.0):
        await end(home)


async def test_of_the_request_that_became_a_websocket_nothing_stays(house: Open) -> None:
    async with house() as home, nothing_left(PARTS, within=5.0):
        before = living(HTTP)
        async with home.member("ada") as ada:
            assert living(HTTP) == before
            await ada.say(type="leave")
            await ada.is_closed(1000)
