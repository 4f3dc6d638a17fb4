"""Where media is announced is asked until somebody says it, and meanwhile operators are told that it is not known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from signalling.public_address import PublicAddress
from turn_probe.mapped import Mapped, NotSeen
from turn_probe.urls import Server, parse

SERVERS = [parse("stun:s.example")]
SEEN = Mapped("10.0.0.2", "192.0.2.1")


class Stun:
    """STUN servers that answer what a test lets them, one after the other."""

    def __init__(self, *answers: Mapped | Exception) -> None:
        self.answers = [*answers]

    async def ask(self, servers: Sequence[Server]) -> Mapped:
        assert servers == SERVERS
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_what_is_said_at_once_is_not_asked_again() -> None:
    address = PublicAddress(SERVERS, Stun(SEEN).ask)
    assert await address.find() == SEEN
    await address.keep_asking(lambda seen: pytest.fail("nothing new was learned"))
    ((check,),) = address.checks().values()
    assert (check["observedValue"], check["status"]) == ("192.0.2.1", "pass")


async def test_who_is_not_answered_asks_on_whatever_went_wrong_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = NotSeen("stun:s.example: no answer in 3.0 s")
    stun = Stun(away, away, OSError("no network"), RuntimeError("a fault of ours"), away, SEEN)
    address = PublicAddress(SERVERS, stun.ask, every=0.0)
    assert await address.find() is None
    ((check,),) = address.checks().values()
    assert (check["observedValue"], check["status"]) == ("unknown", "warn")
    assert "no answer in 3.0 s" in check["reason"]
    learned: list[Mapped] = []
    await address.keep_asking(learned.append)
    assert learned == [SEEN]
    assert not stun.answers
    assert caplog.text.count("no answer in 3.0 s") == 2  # before and after the network was away
    assert address.checks()["media:publicAddress"][0]["status"] == "pass"
