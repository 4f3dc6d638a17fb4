"""A transport finds its server, shakes hands with the right one only, and is not disturbed by what it does not know."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from loadtest import transport as module
from loadtest.owner import Owner
from loadtest.sdp import Answer
from loadtest.transport import Transport, TransportError, own_address_of
from sfu import rtcp, rtp, stun
from sfu.dtls import DtlsError

from .counterpart import CLIENT, PASSWORD, SERVER, UFRAG, WITHIN, Counterpart, News, counterpart

PACKET = rtp.pack(rtp.Packet(0, 96, 1, 2, 3, {}, b"payload"))
PLI = rtcp.receiver_report(1, ()) + rtcp.picture_loss_indication(1, 2)


class Near(Transport):
    """A transport that keeps what it decrypts."""

    def __init__(self, sample: int = 1) -> None:
        self.rtp: list[tuple[bytes, float]] = []
        self.rtcp: list[tuple[bytes, float]] = []
        self.news = News()
        super().__init__(CLIENT, self._keep_rtp, self._keep_rtcp, sample=sample)

    def _keep_rtp(self, data: bytes, now: float) -> None:
        self.rtp.append((data, now))
        self.news.tell()

    def _keep_rtcp(self, data: bytes, now: float) -> None:
        self.rtcp.append((data, now))
        self.news.tell()


@asynccontextmanager
async def near(sample: int = 1) -> AsyncIterator[Near]:
    """A transport that is closed in the end, leaving no task behind."""
    tasks = asyncio.all_tasks()
    made = Near(sample)
    try:
        yield made
    finally:
        await made.close()
        await made.close()
        assert asyncio.all_tasks() == tasks


async def connect(ours: Transport, far: Counterpart, answer: Answer | None = None) -> None:
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(far.handshake(ours.local.fingerprint))
        group.create_task(ours.connect(answer or far.answer))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK_INTERVAL", 0.002)


# ---------------------------------------------------------------------------------------------------------- checks


async def test_the_first_check_nominates_and_is_signed_for_the_server() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        check = far.checks[0]
        assert check.use_candidate
        assert not check.controlled
        assert check.username == f"{UFRAG}:{ours.local.ice_ufrag}"
        assert check.is_authentic(PASSWORD)
        assert check.priority == 2_130_706_431  # RFC 8445 section 5.1.2.1, for a host candidate


async def test_the_consent_is_renewed_every_five_seconds() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        before, at = len(far.checks), ours._next_consent
        ours.tick(at - 0.01)
        ours.tick(at)
        ours.tick(at)
        await far.news.until(lambda: len(far.checks) > before)
        ours.send_rtp(PACKET)
        await far.news.until(lambda: far.rtp)
        assert len(far.checks) == before + 1
        assert far.checks[-1].use_candidate


async def test_nothing_is_sent_before_there_is_a_connection() -> None:
    async with counterpart(), near() as ours:
        ours.tick(1e9)
        ours.send_rtp(PACKET)
        ours.send_rtcp(PLI)
        assert (ours.sent, ours.blocked) == (0, 0)


async def test_a_candidate_that_does_not_answer_is_followed_by_the_next() -> None:
    async with near() as ours, counterpart() as far:
        dead = [("127.0.0.1", 9), ("::1", 9)]
        await connect(ours, far, replace(far.answer, candidates=(*dead, far.address)))
        assert far.checks


async def test_the_preferred_address_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HANDSHAKE_WITHIN", 0.01)
    async with near() as ours, counterpart() as far, counterpart("127.0.0.2") as preferred:
        preferred.deaf_to_dtls = True
        answer = replace(far.answer, candidates=(far.address, preferred.address))
        with pytest.raises(TransportError, match="handshake"):
            await ours.connect(answer, prefer="127.0.0.2")
        assert preferred.checks
        assert far.checks == []


@pytest.mark.parametrize("candidates", [(), (("127.0.0.1", 9),), (("127.0.0.1", 9), ("::1", 9))])
async def test_without_an_answer_from_any_candidate_there_is_no_connection(
    candidates: tuple[tuple[str, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHECKS_WITHIN", 0.1)
    async with near() as ours:
        answer = Answer(UFRAG, PASSWORD, (SERVER.fingerprint,), candidates, {})
        with pytest.raises(TransportError, match=f"none of {len(candidates)} candidates answered"):
            await ours.connect(answer)


async def test_an_answer_that_is_not_signed_with_the_password_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKS_WITHIN", 0.1)
    async with near() as ours, counterpart(password="w" * 24) as far:
        with pytest.raises(TransportError, match="candidates answered"):
            await ours.connect(far.answer)
        assert far.checks


async def test_checks_of_the_server_are_answered_if_they_are_signed() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        username = f"{ours.local.ice_ufrag}:{UFRAG}"
        for number, password in enumerate(("w" * 32, ours.local.ice_pwd)):
            far.send(stun.binding_request(bytes([number]) * 12, username, password, 1, 1, nominate=False))
        await far.news.until(lambda: far.replies)
        assert [reply.transaction_id for reply in far.replies] == [b"\1" * 12]
        assert far.replies[0].is_authentic(ours.local.ice_pwd)


# ------------------------------------------------------------------------------------------------------- handshake


async def test_packets_arrive_both_ways_and_are_counted() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        ours.send_rtp(PACKET)
        ours.send_rtcp(PLI)
        await far.news.until(lambda: far.rtp and far.rtcp)
        assert (far.rtp, far.rtcp) == ([rtp.parse(PACKET)], [PLI])
        far.send_rtp(PACKET)
        far.send_rtcp(PLI)
        await ours.news.until(lambda: ours.rtp and ours.rtcp)
        assert (ours.rtp[0][0], ours.rtcp[0][0]) == (PACKET, PLI)
        assert (ours.sent, ours.received, ours.rejected) == (1, 1, 0)


async def test_a_server_with_another_fingerprint_is_refused() -> None:
    async with near() as ours, counterpart() as far:
        wrong = replace(far.answer, fingerprints=(("sha-256", ":".join(["00"] * 32)),))

        async def shake_hands() -> None:
            with suppress(DtlsError):
                await far.handshake(ours.local.fingerprint)

        async with Owner() as owner:
            owner.start(shake_hands())
            with pytest.raises(TransportError, match="fingerprint"):
                await ours.connect(wrong)
        ours.send_rtp(PACKET)
        assert ours.sent == 0


async def test_a_server_that_never_shakes_hands_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HANDSHAKE_WITHIN", 0.01)
    async with near() as ours, counterpart() as far:
        far.deaf_to_dtls = True
        with pytest.raises(TransportError, match="no DTLS handshake within"):
            await ours.connect(far.answer)


async def test_each_end_hears_the_farewell_of_the_other() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        await ours.close()
        await far.news.until(lambda: far.closed)
        assert far.closed == 1
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        await far.dtls.close()
        async with asyncio.timeout(5):
            while not ours.closed_by_server:  # noqa: ASYNC110 - the transport tells nobody
                await asyncio.sleep(0)


# --------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("first", [0, 1, 3, 4, 20, 22, 63, 64, 127, 128, 191, 192, 255])
async def test_garbage_is_harmless_before_and_after_the_handshake(first: int) -> None:
    garbage = [b"", *(bytes([first]) + secrets.token_bytes(size - 1) for size in (1, 2, 12, 60, 1501))]
    async with near() as ours, counterpart() as far:
        ours._remote = far.answer
        for datagram in garbage:
            ours._received(datagram, 0.0)
        await connect(ours, far)
        for datagram in garbage:
            far.send(datagram)
        far.send_rtp(PACKET)
        await ours.news.until(lambda: ours.rtp)
        assert [data for data, _ in ours.rtp] == [PACKET]
        assert ours.rtcp == []
        assert not ours.closed_by_server


async def test_a_packet_that_is_replayed_or_forged_is_rejected_and_counted() -> None:
    async with near() as ours, counterpart() as far:
        await connect(ours, far)
        assert far._srtp is not None
        sealed = far._srtp.protect_rtp(PACKET)
        for datagram in (sealed, sealed, sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:14]):
            far.send(datagram)
        far.send_rtcp(PLI)
        await ours.news.until(lambda: ours.rtcp)
        assert len(ours.rtp) == 1
        assert ours.rejected == 3


async def test_of_a_sample_only_each_nth_packet_is_decrypted_but_all_are_counted() -> None:
    async with near(sample=3) as ours, counterpart() as far:
        await connect(ours, far)
        for sequence in range(7):
            far.send_rtp(rtp.pack(rtp.Packet(0, 96, sequence, 0, 3, {}, b"x")))
        far.send_rtcp(PLI)
        await ours.news.until(lambda: ours.rtcp)
        assert [rtp.parse(data).sequence for data, _ in ours.rtp] == [2, 5]
        assert ours.received == 7


async def test_a_server_that_is_gone_disturbs_nobody() -> None:
    async with near() as ours:
        async with counterpart() as far:
            await connect(ours, far)
        for sequence in range(5):
            ours.send_rtp(rtp.pack(rtp.Packet(0, 96, sequence, 0, 3, {}, b"x")))
        assert ours.sent == 5


# -------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("x" * 64 + ".invalid", None)]
)
def test_a_host_is_known_by_its_address(host: str, address: str | None) -> None:
    assert own_address_of(host) == address
