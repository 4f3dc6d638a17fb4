"""A handshake is over in time, whatever the other side does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import pytest

from sfu import dtls, srtp
from tests.support.waiting import eventually

from .test_dtls import SERVER, Link, only_this_task

FOREIGN = bytes.fromhex("17fefd 0005 000000000000 0004") + b"data"  # an epoch that is not there: OpenSSL is silent


async def test_who_goes_on_sending_cannot_make_a_handshake_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "HANDSHAKE_WITHIN", 0.3)
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


async def expect_timeout(handshake: Awaitable[srtp.Keys]) -> None:
    with pytest.raises(dtls.DtlsTimeout):
        await handshake
