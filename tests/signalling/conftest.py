"""A real server in this process, on a free port, over a media plane without media."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from signalling import messages as m
from signalling.app import Running, running
from signalling.config import Settings
from signalling.keys import secret_key
from signalling.option_values import OFF, Bind
from signalling.tokens import SOURCES, Grant
from state.modes import Mode
from state.sharing import Sharing
from tests.support.fake_media import FakeMediaPlane
from tests.support.waiting import eventually, in_time

PATIENCE = 5.0  # seconds after which a test gives up on an answer
SHARED_KEYS = (secret_key("shared", b"a secret that all instances have got"),)
M = TypeVar("M", bound=m.Message)


class House:
    """A running server, its media, and the ways in."""

    def __init__(self, server: Running, media: FakeMediaPlane) -> None:
        self.server = server
        self.media = media

    @property
    def host(self) -> str:
        """What a browser would call it."""
        return f"localhost:{self.server.port}"

    def http(self) -> httpx.AsyncClient:
        """A client for its HTTP side."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.port}", headers={"Host": self.host})

    async def metrics(self) -> dict[str, float]:
        """All metrics now: `name` or `name{label="value"}` -> value."""
        async with self.operators() as client:
            text = (await client.get("/metrics")).text
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    @property
    def sharing(self) -> Sharing:
        """Its part in the sharing of rooms."""
        assert self.server.conference.cluster.sharing is not None
        return self.server.conference.cluster.sharing

    async def is_in(self, mode: Mode, within: float = 20.0) -> None:
        """Wait until it shares, or does not."""
        await eventually(lambda: self.sharing.modes.mode is mode, within)

    def operators(self) -> httpx.AsyncClient:
        """A client for the listener of operators."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.admin_port}")

    def token(self, identity: str, room: str = "room", **other: Any) -> str:
        """An access token."""
        given: dict[str, Any] = {"wall": time.time(), "lifetime": 60.0, "grant": Grant(frozenset(SOURCES))} | other
        return self.server.tokens.issue(room=room, identity=identity, **given)

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[Caller]:
        """A WebSocket that has said nothing yet."""
        given = {"subprotocols": [Subprotocol(m.SUBPROTOCOL)], "compression": None, "proxy": None} | options
        async with connect(f"ws://127.0.0.1:{self.server.port}/ws", **given) as socket:
            yield Caller(socket)

    @asynccontextmanager
    async def member(self, identity: str, *, stay: bool = False, **options: Any) -> AsyncIterator[Caller]:
        """A WebSocket that has joined; with `stay` wherever the room is at home."""
        async with self.socket(**options) as caller:
            await caller.say(type="join", token=self.token(identity), stay=stay)
            caller.welcome = await caller.hear(m.Welcome)
            yield caller


class Caller:
    """One WebSocket, in words."""

    welcome: m.Welcome

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps(message))

    async def hear(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        message = m.parse_server_message(await in_time(self.socket.recv(), PATIENCE))
        assert isinstance(message, kind), message
        return message

    async def is_closed(self, code: int) -> None:
        """Whatever is said until then, the server closes with this code."""
        await in_time(self.socket.wait_closed(), PATIENCE)
        assert self.socket.close_code == code


Open = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def house() -> Open:
    """Run a server with the given settings for as long as the block lasts."""

    @asynccontextmanager
    async def open_house(**settings: Any) -> AsyncIterator[House]:
        media = FakeMediaPlane()
        given = {"port": 0, "shutdown_grace": 2.0, "admin_bind": OFF} | settings
        async with running(Settings(**given), media) as server:
            yield House(server, media)

    return open_house


@pytest.fixture
def shared_house(house: Open) -> Open:
    """Run a server that shares its rooms: give it the `redis_url`."""

    def open_house(**settings: Any) -> AbstractAsyncContextManager[House]:
        given = {"keys": SHARED_KEYS, "host": "127.0.0.1", "admin_bind": Bind("127.0.0.1", 0)} | settings
        return house(**given)

    return open_house
