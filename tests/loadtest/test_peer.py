"""A peer does what a server asks of it: here one made of a WebSocket and a datagram socket, in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest import peer as peer_module
from loadtest import transport
from loadtest.peer import Peer, PeerError
from loadtest.ticker import Ticker
from sfu import rtcp, rtp
from sfu.payloads import starts_keyframe

from .counterpart import CLIENT
from .tiny_server import Server, tiny_server

is_keyframe = starts_keyframe("VP8")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One that is not waited for."""
    monkeypatch.setattr(transport, "_CHECK_INTERVAL", 0.01)
    async with tiny_server() as made:
        yield made


@asynccontextmanager
async def joined(server: Server) -> AsyncIterator[Peer]:
    """A peer whose media flows only when the test ticks it."""
    async with Peer(server.url, "token", ("camera",), ticker=Ticker(), certificate=CLIENT) as peer:
        await server.far.news.until(lambda: server.far._srtp is not None)
        yield peer


def feedback(packet: bytes) -> bytes:
    return rtcp.receiver_report(1, ()) + packet


async def until(probe: Callable[[], object]) -> None:
    """Wait for what no message tells. Raises TimeoutError."""
    async with asyncio.timeout(5):
        while not probe():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def frames(server: Server, peer: Peer, now: float) -> list[rtp.Packet]:
    """Tick once; the packets that arrive."""
    before, sent = len(server.far.rtp), peer.transport.sent
    peer._tick(now)
    count = peer.transport.sent - sent
    await server.far.news.until(lambda: len(server.far.rtp) == before + count)
    return server.far.rtp[before:]


async def test_a_peer_joins_publishes_and_leaves(server: Server) -> None:
    async with joined(server) as peer:
        assert (peer.participant, peer.publications[0].track) == ("me", "t0")
        assert [section.direction for section in server.offers[0].sections] == ["sendonly", "recvonly", "recvonly"]
        (first, *_) = await frames(server, peer, peer.publications[0].source._start)  # type: ignore[union-attr]
        assert is_keyframe(first.payload)
    assert [request["type"] for request in server.requests] == ["join", "offer", "leave"]
    assert server.requests[0]["token"] == "token"
    await server.far.news.until(lambda: server.far.closed)


async def test_a_nack_is_answered_by_rtx_and_takes_a_number_only_then(server: Server) -> None:
    async with joined(server) as peer:
        start = peer.publications[0].source._start  # type: ignore[union-attr]
        sent = await frames(server, peer, start)
        ssrc = peer.publications[0].section.ssrc
        assert ssrc is not None
        missing = sent[0].sequence
        server.far.send_rtcp(feedback(rtcp.nack(1, ssrc, [(missing - 5) & 0xFFFF, missing])))
        await server.far.news.until(lambda: len(server.far.rtp) == len(sent) + 1)
        repair = server.far.rtp[-1]
        assert repair.ssrc == peer.publications[0].section.rtx_ssrc
        assert repair.payload == missing.to_bytes(2, "big") + sent[0].payload
        numbers = [int.from_bytes(packet.extensions[2], "big") for packet in server.far.rtp]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert peer.report().retransmitted == 1


async def test_a_pli_is_answered_by_a_keyframe(server: Server) -> None:
    async with joined(server) as peer:
        start = peer.publications[0].source._start  # type: ignore[union-attr]
        await frames(server, peer, start)
        assert not is_keyframe((await frames(server, peer, start + 0.04))[0].payload)
        ssrc = peer.publications[0].section.ssrc
        assert ssrc is not None
        server.far.send_rtcp(feedback(rtcp.picture_loss_indication(1, ssrc)))
        source = peer.publications[0].source
        async with asyncio.timeout(5):
            while not source._keyframe_wanted:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert is_keyframe((await frames(server, peer, start + 0.08))[0].payload)
        assert peer.report().keyframes_sent == 2


async def test_a_peer_offers_as_many_sections_as_it_is_asked_for(server: Server) -> None:
    async with joined(server) as peer:
        await server.say({"type": "renegotiate", "audio": 2, "video": 3})
        await server.news.until(lambda: len(server.offers) == 2)
        assert [section.mid for section in server.offers[1].sections] == ["0", "a0", "v0", "a1", "v1", "v2"]
        await server.say({"type": "slots", "slots": [{"mid": "v2", "track": "other"}]})
        async with asyncio.timeout(5):
            while not any(slot.track == "other" for slot in peer.ledger.slots.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_errors_and_lost_media_are_in_the_report(server: Server) -> None:
    async with joined(server) as peer:
        await server.say({"type": "error", "code": "rate_limited", "message": "slower"})
        await server.say({"type": "media_state", "state": "connected"})
        await server.say({"type": "media_state", "state": "failed"})
        await server.say({"type": "of the future"})
        await peer.request({"type": "ping"})
        assert peer.report().errors == ("rate_limited: slower", "media failed")


async def test_rtcp_that_is_none_is_rejected_and_counted(server: Server) -> None:
    async with joined(server) as peer:
        for data in (b"\x80", bytes(1501), rtcp.transport_feedback(1, 2, b"")):
            peer._stay.take_rtcp(data, 0.0)
        assert peer.report().rejected == 3


@pytest.mark.parametrize("request_type", ["join", "offer"])
async def test_a_refusal_is_a_peer_error_with_its_code(server: Server, request_type: str) -> None:
    server.refusals[request_type] = "room_full"
    with pytest.raises(PeerError, match="room_full: no"):
        async with joined(server):
            pass


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"type": 3}', '{"type": "x", "request": []}', "[" * 100_000, b"\xff"]
)
async def test_a_reply_that_is_no_message_is_a_peer_error(server: Server, text: str | bytes) -> None:
    server.raw["join"] = text
    with pytest.raises(PeerError, match="malformed: the server"):
        async with joined(server):
            pass


@pytest.mark.parametrize(
    ("goodbye", "code"),
    [('{"type": "goodbye", "code": "shutting_down", "message": "later"}', "shutting_down: later"), ("", "malformed")],
)
async def test_a_goodbye_instead_of_a_reply_is_a_peer_error(server: Server, goodbye: str, code: str) -> None:
    server.raw["offer"] = goodbye
    with pytest.raises(PeerError, match=code):
        async with joined(server):
            pass


# ------------------------------------------------------------------------------------------------- going on elsewhere


async def test_a_peer_that_moves_sends_at_both_servers_until_it_leaves_the_first(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "_LINGER", 0.2)
    async with tiny_server() as other, joined(server) as peer:
        await server.say({"type": "migrate", "url": other.url, "reason": "room_moved"})
        await until(lambda: peer.migrations)
        start = peer.publications[0].source._start  # type: ignore[union-attr]
        before, there = await frames(server, peer, start), other.far
        await there.news.until(lambda: len(there.rtp) == len(before))
        assert [packet.payload for packet in there.rtp] == [packet.payload for packet in before]
        assert {packet.ssrc for packet in there.rtp}.isdisjoint(packet.ssrc for packet in before)
        await server.news.until(lambda: server.requests[-1]["type"] == "leave")
        assert server.requests[-1]["reason"] == "migrated"
        await server.far.news.until(lambda: server.far.closed)
        peer._tick(start + 0.1)
        await there.news.until(lambda: len(there.rtp) > len(before))
        assert list(peer.published()) == [("t0", peer.publications[0].source.track)] * 2
        assert (peer.report().migrations, peer.report().errors) == (1, ())


async def test_a_peer_stays_where_it_is_if_it_cannot_go_elsewhere(server: Server) -> None:
    async with joined(server) as peer:
        await server.say({"type": "migrate", "url": "ws://127.0.0.1:9/ws", "reason": "room_moved"})
        await until(lambda: peer.report().errors)
        assert "cannot go on at ws://127.0.0.1:9/ws" in peer.report().errors[0]
        assert peer.migrations == 0
        assert (await peer.request({"type": "ping"}))["type"] == "done"


async def test_a_peer_that_ends_while_it_moves_leaves_both(server: Server) -> None:
    async with tiny_server() as other:
        async with joined(server) as peer:
            await server.say({"type": "migrate", "url": other.url, "reason": "room_moved"})
            await until(lambda: peer.migrations)
        assert [one.requests[-1]["type"] for one in (server, other)] == ["leave", "leave"]
