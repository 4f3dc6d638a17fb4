"""Where no UDP gets through a transport goes by TCP: frames stay whole, and an end of the connection is noticed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from loadtest import tcp_transport as module
from loadtest import transport
from loadtest.sdp import Answer
from loadtest.tcp_transport import TcpTransport
from loadtest.transport import TransportError
from sfu import rtcp, rtp

from .counterpart import CLIENT, PASSWORD, SERVER, UFRAG, WITHIN, News, TcpCounterpart, tcp_counterpart

PACKET = rtp.pack(rtp.Packet(0, 96, 1, 2, 3, {}, b"payload"))
PLI = rtcp.receiver_report(1, ()) + rtcp.picture_loss_indication(1, 2)


class Near(TcpTransport):
    """A transport that keeps what it decrypts."""

    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.news = News()
        super().__init__(CLIENT, self._keep_rtp, self._keep_rtcp)

    def _keep_rtp(self, data: bytes, now: float) -> None:
        self.rtp.append(data)
        self.news.tell()

    def _keep_rtcp(self, data: bytes, now: float) -> None:
        self.rtcp.append(data)
        self.news.tell()

    def _lost(self) -> None:
        super()._lost()
        self.news.tell()


@asynccontextmanager
async def near() -> AsyncIterator[Near]:
    """A transport that is closed in the end."""
    made = Near()
    try:
        yield made
    finally:
        await made.close()
        await made.close()


async def connect(ours: TcpTransport, far: TcpCounterpart, answer: Answer | None = None) -> None:
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(far.handshake(ours.local.fingerprint))
        group.create_task(ours.connect(answer or far.answer))


async def test_packets_arrive_both_ways_and_are_counted() -> None:
    async with near() as ours, tcp_counterpart() as far:
        await connect(ours, far)
        assert far.checks[0].use_candidate
        assert far.checks[0].is_authentic(PASSWORD)
        ours.send_rtp(PACKET)
        ours.send_rtcp(PLI)
        await far.news.until(lambda: far.rtp and far.rtcp)
        assert (far.rtp, far.rtcp) == ([rtp.parse(PACKET)], [PLI])
        far.send_rtp(PACKET)
        far.send_rtcp(PLI)
        await ours.news.until(lambda: ours.rtp and ours.rtcp)
        assert (ours.rtp, ours.rtcp) == ([PACKET], [PLI])
        assert (ours.sent, ours.received, ours.blocked) == (1, 1, 0)


async def test_a_check_is_sent_once_as_tcp_itself_repeats_what_is_lost() -> None:
    async with near() as ours, tcp_counterpart() as far:
        await connect(ours, far)
        assert len(far.checks) == 1
        ours.tick(ours._next_consent)
        await far.news.until(lambda: len(far.checks) == 2)


async def test_a_candidate_that_refuses_is_followed_by_the_next() -> None:
    async with near() as ours, tcp_counterpart() as far:
        nobody = [("127.0.0.1", 9), ("::1", 9)]
        await connect(ours, far, replace(far.answer, tcp_candidates=(*nobody, far.address)))
        assert far.checks


async def test_a_candidate_that_hangs_up_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWERED_WITHIN", 0.2)
    async with near() as ours, tcp_counterpart() as far:
        far.hang_ups = 2
        await connect(ours, far)
        assert far.hang_ups == 0
        assert not ours.closed_by_server


async def test_candidates_on_udp_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_CHECKS_WITHIN", 0.1)
    async with near() as ours:
        with pytest.raises(TransportError, match="none of 0 candidates answered"):
            await ours.connect(Answer(UFRAG, PASSWORD, (SERVER.fingerprint,), (("127.0.0.1", 9),), {}))


async def test_who_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWERED_WITHIN", 0.05)
    monkeypatch.setattr(transport, "_CHECKS_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with near() as ours:
            answer = Answer(UFRAG, PASSWORD, (SERVER.fingerprint,), (), {}, (silent.getsockname(),))
            with pytest.raises(TransportError, match="none of 1 candidates answered"):
                await ours.connect(answer)
            assert ours._socket is None


async def test_while_the_kernel_is_full_packets_are_lost_and_counted_but_frames_stay_whole() -> None:
    async with near() as ours, tcp_counterpart() as far:
        await connect(ours, far)
        far.pause()
        count = 0
        while ours.blocked < 100:
            ours.send_rtp(rtp.pack(rtp.Packet(0, 96, count & 0xFFFF, 0, 3, {}, bytes(1100))))
            count += 1
            assert count < 50_000, "the kernel takes no more than it has buffers"
        far.resume()
        await far.news.until(lambda: len(far.rtp) == count - ours.blocked)
        assert [packet.sequence for packet in far.rtp] == list(range(count - 100))
        ours.send_rtp(rtp.pack(rtp.Packet(0, 96, count & 0xFFFF, 0, 3, {}, b"afterwards")))
        await far.news.until(lambda: far.rtp[-1].payload == b"afterwards")
        assert ours.blocked == 100


@pytest.mark.parametrize("last", [b"", b"\xff\xff and what else is no frame", b"\0\0"])
async def test_an_end_of_the_connection_is_noticed_and_nothing_is_sent_on_it(last: bytes) -> None:
    async with near() as ours, tcp_counterpart() as far:
        await connect(ours, far)
        far.says_last(last)
        await ours.news.until(lambda: ours.closed_by_server)
        ours.send_rtp(PACKET)
        ours.tick(ours._next_consent)
        assert ours._socket is None
