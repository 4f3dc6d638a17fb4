"""A handshake is over in time, whatever the other side does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from sfu import dtls, srtp
from tests.support.waiting import eventually

from .test_dtls import SERVER, Link, only_this_task

FOREIGN = bytes.fromhex("17fefd 0005 000000000000 0004") + b"data"  # an epoch that is not there: OpenSSL is silent


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_goes_on_sending_cannot_make_a_handshake_last(
    monkeypatch: pytest.MonkeyPatch, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(dtls, "HANDSHAKE_WITHIN", 0.3)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(goes_on_sending())


async def goes_on_sending() -> None:
    link = Link(lambda feed, datagram: None)
    async with asyncio.TaskGroup() as tasks:
        handshakes = [
            tasks.create_task(expect_timeout(end.handshake([SERVER.fingerprint]))) for end in (link.client, link.server)
        ]
        await eventually(lambda: bool(link.datagrams), every=0)
        link.server.feed(link.datagrams[0])
        began = time.monotonic()
        while not all(handshake.done() for handshake in handshakes):
            link.server.feed(FOREIGN)
            await asyncio.sleep(0)
            assert time.monotonic() - began < 5
    await link.close()
    assert only_this_task()


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_one_that_takes_too_long_is_always_called_so(
    monkeypatch: pytest.MonkeyPatch, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(dtls, "HANDSHAKE_WITHIN", 0.1)

    async def wait() -> None:
        ends = [dtls.DtlsEndpoint(SERVER, "server", lambda datagram: None, lambda: None) for _ in range(100)]
        await asyncio.gather(*(expect_timeout(end.handshake([SERVER.fingerprint])) for end in ends))
        for end in ends:
            await end.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(wait())


async def expect_timeout(handshake: Awaitable[srtp.Keys]) -> None:
    with pytest.raises(dtls.DtlsTimeout):
        await handshake
