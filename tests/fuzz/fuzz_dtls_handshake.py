"""Whatever arrives for a DTLS handshake ends in a DtlsError or in waiting, never in keys or in another error."""

from __future__ import annotations

import asyncio

from sfu.dtls import Certificate, DtlsEndpoint, DtlsError

from .harness import unpacked

CERTIFICATE = Certificate()
SOMEBODY = ("sha-256", ":".join(["00"] * 32))


def run(data: bytes) -> None:
    # What the demultiplexer takes for DTLS.
    asyncio.run(_handshake([each for each in unpacked(data, most=16) if each and 19 < each[0] < 64]))


async def _handshake(datagrams: list[bytes]) -> None:
    sent: list[bytes] = []
    closed: list[None] = []
    endpoint = DtlsEndpoint(CERTIFICATE, "server", sent.append, lambda: closed.append(None))

    async def feed_and_close() -> None:
        for datagram in datagrams:
            endpoint.feed(datagram)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        for _ in range(16):
            await asyncio.sleep(0)
        await endpoint.close()

    outcome, _ = await asyncio.gather(endpoint.handshake([SOMEBODY]), feed_and_close(), return_exceptions=True)
    assert isinstance(outcome, DtlsError), outcome
    assert closed == []
    # A flight of ours is about 1 kB; it is sent once for each ClientHello, and repeated when something is sent again.
    assert sum(map(len, sent)) <= 2000 * (1 + len(datagrams))
