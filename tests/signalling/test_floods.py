"""One client that sends without end: it is slowed down or cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame

from signalling import messages as m
from signalling.websocket_protocol import PIECE, WebSocketProtocol
from tests.support.waiting import eventually, in_time

from .conftest import House, Open


def masked_text(text: bytes) -> bytes:
    """A text frame of a client (RFC 6455 section 5.2) of at most 125 bytes; a mask of zeros changes nothing."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


async def metrics_of(home: House) -> str:
    async with home.http() as client:
        return (await client.get("/metrics")).text


async def test_a_flood_is_answered_with_a_bounded_number_of_errors_and_then_cut_off(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        heard: list[m.ServerMessage] = []
        with contextlib.suppress(ConnectionClosed):
            for _ in range(1000):
                await ada.socket.send("{")
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(m.parse_server_message(await in_time(ada.socket.recv(), 5)))
        await ada.is_closed(1008)
        assert len(heard) == 22
        assert isinstance(heard[-1], m.Goodbye)
        assert (heard[-1].code, heard[-1].resume) == ("too_many_errors", True)


async def test_who_sends_too_fast_loses_nothing_and_holds_up_nobody(house: Open) -> None:
    async with house(messages_per_second=100) as home, home.member("ada") as ada, home.member("bob") as bob:
        await ada.hear(m.ParticipantJoined)
        flood = b"".join(masked_text(b'{"type":"ping","request":"%d"}' % number) for number in range(50_000))
        ada.socket.transport.write(flood)
        for number in range(250):
            assert (await ada.hear(m.Pong)).request == str(number)
        began = time.monotonic()
        await bob.say(type="ping")
        await bob.hear(m.Pong)
        assert time.monotonic() - began < 0.5
        assert 'auralink_limited_total{limit="messages_per_connection"}' in await metrics_of(home)
        ada.socket.transport.abort()


async def test_what_arrives_at_once_is_parsed_in_pieces_between_which_others_have_their_turn(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = 0

    def handled(self: WebSocketProtocol, event: Frame) -> None:
        nonlocal messages
        messages += 1
        plain(self, event)

    plain = WebSocketProtocol.handle_text
    monkeypatch.setattr(WebSocketProtocol, "handle_text", handled)
    async with house(messages_per_second=1_000_000) as home, home.member("ada") as ada:
        ada.socket.transport.write(masked_text(b'{"type":"ping"}') * 10_000)
        most = 0
        while messages < 10_000:
            before = messages
            await asyncio.sleep(0)
            most = max(most, messages - before)
    assert 0 < most <= PIECE // len(masked_text(b'{"type":"ping"}')) + 1


async def test_control_frames_without_end_are_cut_off_and_counted(house: Open) -> None:
    for frame in (b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0"):
        async with house() as home, home.member("ada") as ada:
            ada.socket.transport.write(frame * 10)
            await ada.say(type="ping")
            await ada.hear(m.Pong)
            ada.socket.transport.write(frame * 10_000)
            await ada.is_closed(1008)
            assert 'auralink_limited_total{limit="control_frames"} 1.0' in await metrics_of(home)


async def test_empty_fragments_do_not_pile_up(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        ada.socket.transport.write(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 100)
        await ada.is_closed(1009)
        async with home.socket() as back:
            await back.say(type="resume", resume_token=ada.welcome.resume_token)
            assert (await back.hear(m.Welcome)).resumed


async def test_pongs_do_not_pile_up_for_a_client_that_does_not_read(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    plain = WebSocketProtocol.handle_ping

    def watched(self: WebSocketProtocol) -> None:
        plain(self)
        held.append(self.transport.get_write_buffer_size())

    monkeypatch.setattr(WebSocketProtocol, "handle_ping", watched)
    async with house() as home, home.member("ada") as ada:
        ada.socket.transport.pause_reading()  # type: ignore[attr-defined]
        ping = b"\x89\xfd" + bytes(4) + b"x" * 125
        for count in range(1000, 60_001, 1000):  # 8 MB, of which the network takes some
            ada.socket.transport.write(ping * 1000)
            await eventually(lambda count=count: len(held) == count, every=0.005)
        ada.socket.transport.abort()
    assert 64 * 1024 < max(held) < 128 * 1024
