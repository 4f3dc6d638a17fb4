"""A ClientHello from an address that passed no connectivity check is neither answered nor heard, whenever it comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from sfu.dtls import Certificate, DtlsEndpoint, DtlsError
from sfu.engine import Engine
from tests.support.waiting import eventually

from .client import ANN, OPTIONS, ROOM, Client, state_of
from .media import audio

HELLOS = 20


async def client_hello() -> bytes:
    """The first flight of a real handshake."""
    sent: list[bytes] = []
    endpoint = DtlsEndpoint(Certificate(), "client", sent.append, lambda: None)

    async def stop() -> None:
        await eventually(lambda: sent, every=0)
        await endpoint.close()

    outcome, _ = await asyncio.gather(endpoint.handshake([("sha-256", "")]), stop(), return_exceptions=True)
    assert isinstance(outcome, DtlsError)
    return sent[0]


def with_null_cipher(hello: bytes) -> bytes:
    """The same, offering nothing but TLS_NULL_WITH_NULL_NULL: a server that hears it ends its handshake."""
    at = 25 + 34  # behind record and handshake header, version and random: session id, then cookie, then suites
    at += 1 + hello[at]
    at += 1 + hello[at]
    size = int.from_bytes(hello[at : at + 2], "big")
    return hello[: at + 2] + bytes(size) + hello[at + 2 + size :]


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        yield opened


@pytest.mark.parametrize("weak", [False, True], ids=["as browsers send it", "with the null cipher"])
async def test_a_client_hello_of_a_stranger_cannot_win_against_the_clients_own(
    stranger: socket.socket, weak: bool
) -> None:
    hello = await client_hello()
    if weak:
        hello = with_null_cipher(hello)
    async with Engine(OPTIONS) as media:
        await media.open_peer(ANN, ROOM)
        ann = Client(media, ANN)
        microphone = ann.publish("audio", "ann-a")
        answer = await ann.offer()
        ignored = 0

        async def intrude() -> None:
            nonlocal ignored
            for _ in range(HELLOS):
                stranger.sendto(hello, answer.candidates[0])
            ignored += HELLOS
            await eventually(lambda: media.counters.dropped["unknown_address"] == ignored, every=0.001)
            with pytest.raises(BlockingIOError):
                stranger.recv(1500)

        check = ann.transport._check

        async def check_and_be_overtaken(candidate: tuple[str, int]) -> bool:
            passed = await check(candidate)
            await intrude()  # the server waits for a ClientHello now, and the client has sent none
            return passed

        ann.transport._check = check_and_be_overtaken  # type: ignore[method-assign]
        await intrude()
        await ann.connect()
        await eventually(lambda: state_of(media, ANN) == "connected", every=0.001)
        await intrude()
        before = media.counters.packets_received
        ann.send(microphone, audio(1))
        await eventually(lambda: media.counters.packets_received > before, every=0.001)
        assert set(media.counters.dropped) == {"unknown_address"}
        assert state_of(media, ANN) == "connected"
        assert media.counters.handshakes_failed == 0
        assert ignored == 3 * HELLOS
        await ann.transport.close()
