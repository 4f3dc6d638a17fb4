"""Records that are not from the peer change nothing of a DTLS association that is up: it stays, and can be closed."""

from __future__ import annotations

import asyncio

from tests.sfu.test_dtls import Link, settle

from .harness import unpacked


def run(data: bytes) -> None:
    # What the demultiplexer takes for DTLS.
    asyncio.run(_connected([each for each in unpacked(data, most=16) if each and 19 < each[0] < 64]))


async def _connected(datagrams: list[bytes]) -> None:
    link = Link()
    await link.connect()
    for datagram in datagrams:
        link.server.feed(datagram)
        link.client.feed(datagram)
        await asyncio.sleep(0)
    await settle()
    assert link.closed == []
    await link.client.close()
    await settle()
    assert link.closed == ["server"]
    await link.close()
