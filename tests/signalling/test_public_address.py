"""Where media is announced is asked until somebody says it, and again; operators are told while it is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from signalling.public_address import AGREEING_OTHERS, PublicAddress
from turn_probe.mapped import Mapped, NotSeen
from turn_probe.urls import Server, parse

SERVERS = [parse("stun:s.example")]
SEEN = Mapped("10.0.0.2", "192.0.2.1")


MOVED = Mapped("10.0.0.2", "192.0.2.77")
AWAY = NotSeen("stun:s.example: no answer in 3.0 s")


class Stun:
    """STUN servers that answer what a test lets them, one after the other, and then no more."""

    def __init__(self, *answers: Mapped | Exception) -> None:
        self.answers = [*answers]
        self.silent = asyncio.Event()

    async def ask(self, servers: Sequence[Server]) -> Mapped:
        assert servers == SERVERS
        if not self.answers:
            self.silent.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def learned(address: PublicAddress, stun: Stun) -> list[str]:
    """What is learned until the last answer was given."""
    found: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(address.keep_asking(lambda seen: found.append(seen.public)))
        await stun.silent.wait()
        asking.cancel()
    assert asking.cancelled()
    return found


def address_of(stun: Stun) -> PublicAddress:
    return PublicAddress(SERVERS, stun.ask, every=0.0, look_every=0.0)


async def test_what_was_said_at_once_and_is_said_again_is_nothing_new() -> None:
    stun = Stun(SEEN, SEEN, SEEN)
    address = address_of(stun)
    assert await address.find() == SEEN
    assert await learned(address, stun) == []
    ((check,),) = address.checks().values()
    assert (check["observedValue"], check["status"]) == ("192.0.2.1", "pass")


async def test_who_is_not_answered_asks_on_whatever_went_wrong_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stun = Stun(AWAY, AWAY, OSError("no network"), RuntimeError("a fault of ours"), AWAY, SEEN)
    address = address_of(stun)
    assert await address.find() is None
    ((check,),) = address.checks().values()
    assert (check["observedValue"], check["status"]) == ("unknown", "warn")
    assert "no answer in 3.0 s" in check["reason"]
    assert await learned(address, stun) == ["192.0.2.1"]
    assert caplog.text.count("no answer in 3.0 s") == 2  # before and after the network was away
    assert address.checks()["media:publicAddress"][0]["status"] == "pass"


async def test_another_address_is_believed_when_it_is_said_twice_in_a_row() -> None:
    stun = Stun(SEEN, MOVED, SEEN, MOVED, AWAY, MOVED, MOVED, MOVED)
    assert await learned(address_of(stun), stun) == ["192.0.2.1", "192.0.2.77"]


async def test_what_another_server_says_while_the_first_is_silent_is_believed_after_a_minute_only() -> None:
    inside = Mapped("10.0.0.2", "10.0.0.2", "stun:lan.example")
    stun = Stun(SEEN, *[inside] * (AGREEING_OTHERS - 1), SEEN, *[inside] * AGREEING_OTHERS)
    assert await learned(address_of(stun), stun) == ["192.0.2.1", "10.0.0.2"]


async def test_it_is_asked_often_while_it_is_not_known_or_in_doubt_and_else_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("signalling.public_address.asyncio.sleep", sleep)
    stun = Stun(AWAY, SEEN, SEEN, MOVED, MOVED, AWAY)
    assert await learned(PublicAddress(SERVERS, stun.ask, every=5.0, look_every=30.0), stun) == [
        "192.0.2.1",
        "192.0.2.77",
    ]
    assert pauses == [5.0, 5.0, 30.0, 30.0, 5.0, 30.0, 30.0]


async def test_a_silence_changes_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    stun = Stun(SEEN, AWAY, AWAY, SEEN)
    address = address_of(stun)
    assert await learned(address, stun) == ["192.0.2.1"]
    assert caplog.text.count("stays announced at 192.0.2.1") == 1
    assert address.checks()["media:publicAddress"][0]["status"] == "pass"
