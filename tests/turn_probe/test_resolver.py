"""An old answer is better than none, but not than the answer that there is no such name, and not for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from turn_probe.resolver import FRESH, STALE, Resolver

NAME = "turn.example"


class World:
    """A DNS and a clock: what the name is now, or how asking for it fails."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.answer: str | Exception = "192.0.2.1"
        self.asked = 0
        self.later = 0.0

    async def getaddrinfo(self, host: str, *_: object, **__: object) -> list[Any]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (self.answer, 0))]

    async def look_up(self, after: float = FRESH + 1) -> list[str]:
        """What is said so many seconds later."""
        self.later += after
        return [address for address, _ in await self.resolver.look_up(NAME, 3478, 1.0)]


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with Resolver() as resolver:
        world, loop = World(resolver), asyncio.get_running_loop()
        time = loop.time
        monkeypatch.setattr(loop, "getaddrinfo", world.getaddrinfo)
        monkeypatch.setattr(loop, "time", lambda: time() + world.later)
        yield world


async def test_a_name_is_asked_for_again_when_its_answer_is_no_longer_fresh(world: World) -> None:
    assert await world.look_up() == ["192.0.2.1"]
    world.answer = "192.0.2.2"
    assert await world.look_up(FRESH - 1) == ["192.0.2.1"]
    assert await world.look_up(2) == ["192.0.2.2"]
    assert world.asked == 2


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_while_nobody_can_be_asked_the_last_answer_counts_for_a_day(world: World, code: int) -> None:
    await world.look_up()
    world.answer = socket.gaierror(code, "no name server")
    assert await world.look_up() == ["192.0.2.1"]
    assert await world.look_up(STALE - 100) == ["192.0.2.1"]
    assert await world.look_up(100) == []


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
async def test_a_name_that_exists_no_longer_is_forgotten(world: World, code: int) -> None:
    await world.look_up()
    world.answer = socket.gaierror(code, "no such name")
    assert await world.look_up() == []
    world.answer = socket.gaierror(socket.EAI_AGAIN, "no name server")
    assert await world.look_up() == []
    world.answer = "192.0.2.3"
    assert await world.look_up() == ["192.0.2.3"]


async def test_an_address_is_not_asked_for(world: World) -> None:
    assert await world.resolver.look_up("2001:db8::1", 1, 1.0) == [("2001:db8::1", 1)]
    assert world.asked == 0
