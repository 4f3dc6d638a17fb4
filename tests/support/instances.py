"""Several instances of AuraLink that share rooms through one Redis; each keeps its ports over all of its restarts."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any
from urllib.parse import urlsplit

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens

from .browser import Page
from .call import BOTH, Person, enter, new_room, prepare
from .network import HOST, Network
from .plain_page import served
from .ports import free_port
from .redis_server import RedisServer
from .server import RunningServer, running_server
from .waiting import eventually

WEB = Path(__file__).resolve().parents[2] / "web"
SECRET = "a secret that all instances share"
SMALL: Mapping[str, Any] = {**BOTH, "camera": {"width": 320, "height": 180, "frameRate": 15}}
TINY: Mapping[str, Any] = {**BOTH, "camera": {"width": 160, "height": 90, "frameRate": 10}}


def token_for(room: str, identity: str) -> str:
    """A token that every instance accepts."""
    tokens = Tokens((secret_key("a", SECRET.encode()),))
    return tokens.issue(
        room=room,
        identity=identity,
        wall=time.time(),
        lifetime=600.0,
        grant=Grant(frozenset(SOURCES)),
        name=identity.title(),
    )


class Instance:
    """One instance, which may be ended and started again."""

    def __init__(self, name: str, redis_url: str, network: Network, options: Mapping[str, object]) -> None:
        """`options` are flags beside the usual ones, or instead of them; None is the default of the server."""
        self.name = name
        self.port = free_port()
        self._options: dict[str, object] = {
            "keys": f"a:{SECRET}",
            "node": name,
            "redis_url": redis_url,
            "host": "localhost",
            "port": self.port,
            "allowed_origins": "*",
            "media_ip": network.address,
            "media_port": free_port(SOCK_DGRAM),
            "shutdown_grace": 1,
            **options,
        }
        self._options = {name: value for name, value in self._options.items() if value is not None}
        self._network = network
        self._stack = AsyncExitStack()
        self.told_port = urlsplit(str(options.get("advertise_url", self.url))).port  # to clients
        self.server: RunningServer

    @property
    def url(self) -> str:
        """Where pages reach it, whether it runs or not."""
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        """Run, on the same ports as ever."""
        self._stack = AsyncExitStack()
        self.server = await self._stack.enter_async_context(running_server(network=self._network, **self._options))

    async def end(self, within: float = 20.0) -> float:
        """Ask it to end as an operator does, by SIGTERM; returns how many seconds that took."""
        began = time.monotonic()
        assert await self.server.stop(within) == 0
        lasted = time.monotonic() - began
        assert "Traceback" not in self.server.log, self.server.log
        await self._stack.aclose()
        return lasted

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        os.kill(self.server.pid, signal.SIGKILL)
        await self.server.process.wait()
        await self._stack.aclose()

    async def home_of(self, room: str) -> int | None:
        """The port, as clients are told it, of the home that this instance sees for a room in which nobody is."""
        async with self.server.websocket() as socket:
            await socket.send(json.dumps({"type": "join", "token": token_for(room, self.name), "request": "1"}))
            answer = json.loads(await socket.recv())
            if answer["type"] == "redirect":
                return urlsplit(answer["url"]).port
            assert answer["type"] == "welcome", answer
            await socket.send(json.dumps({"type": "leave", "request": "2"}))
            assert json.loads(await socket.recv())["type"] == "goodbye"
            return self.told_port

    async def metric(self, name: str) -> float:
        """One metric now."""
        return (await self.server.metrics())[name]

    async def close(self) -> None:
        """Have it gone; it must not have failed inside."""
        if self.server.process.returncode is None:
            assert "Traceback" not in self.server.log, self.server.log
        await self._stack.aclose()


class Instances:
    """All instances, a Redis between them, and pages that none of them serves: these outlive any of them."""

    def __init__(self, redis: RedisServer, origin: str, network: Network) -> None:
        self.redis = redis
        self.origin = origin
        self.all: list[Instance] = []
        self._network = network

    async def start(self, *names: str, **options: object) -> list[Instance]:
        """Start instances of these names with these options."""
        fresh = [Instance(name, self.redis.url, self._network, options) for name in names]
        for instance in fresh:
            await instance.start()
            self.all.append(instance)
        return fresh

    async def meet(self, within: float = 15.0) -> None:
        """Wait until all know each other: all agree on the homes of new rooms, and each is the home of some."""

        async def agree() -> bool:
            running = [one for one in self.all if one.server.process.returncode is None]
            rooms = [new_room() for _ in range(4 * len(running))]
            homes = [[await one.home_of(room) for one in running] for room in rooms]
            return all(len({*told}) == 1 for told in homes) and len({told[0] for told in homes}) == len(running)

        await eventually(agree, within, every=0.2)

    async def room_at(self, home: Instance) -> str:
        """A new room that is at home at this instance."""
        while await home.home_of(room := new_room()) != home.told_port:
            pass
        return room

    async def person(
        self, page: Page, at: str, room: str, identity: str, media: Mapping[str, Any] = SMALL, **options: Any
    ) -> Person:
        """Let a page join at the address `at`, wherever that leads."""
        await prepare(page, self.origin, media)
        server = self.all[0].server
        return await enter(page, server, room, identity, token=token_for(room, identity), url=at, **options)


@asynccontextmanager
async def instances(redis: RedisServer, network: Network = HOST) -> AsyncIterator[Instances]:
    """Instances that meet in `redis`, for as long as the block lasts."""
    async with served(WEB, network) as origin:
        found = Instances(redis, origin, network)
        try:
            yield found
        finally:
            async with AsyncExitStack() as stack:
                for instance in found.all:
                    stack.push_async_callback(instance.close)
