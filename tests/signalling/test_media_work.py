"""Media commands of one peer are carried out in order, and no peer waits for another."""

from __future__ import annotations

import asyncio

import pytest

from sfu.media_plane import PeerId, TrackId
from signalling import media_work
from signalling.commands import AnswerOffer, ClosePeer, OpenPeer, SetMuted, Subscribe, Unsubscribe
from signalling.events import OfferAnswered, OfferRefused
from tests.support.fake_media import FakeMediaPlane

ONE, TWO = PeerId("one"), PeerId("two")
A, B = TrackId("a"), TrackId("b")


class Desk:
    """A MediaWork over the fake, and what it reported."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.media = FakeMediaPlane()
        self.reports: list[OfferAnswered | OfferRefused] = []
        self.failures: list[str] = []
        self.work = media_work.MediaWork(self.media, tasks, self.reports.append, self.failures.append)


async def test_commands_of_one_peer_keep_their_order_and_subscriptions_merge() -> None:
    async with asyncio.TaskGroup() as tasks:
        desk = Desk(tasks)
        for command in (
            OpenPeer(ONE, "room"),
            Subscribe(ONE, (A,)),
            Subscribe(ONE, (B,)),
            Unsubscribe(ONE, (A,)),
            SetMuted(ONE, A, True),
            ClosePeer(ONE),
        ):
            desk.work.do(command)
    assert desk.media.verbs == [
        ("open_peer", ONE, "room"),
        ("subscribe", ONE, (A, B)),
        ("unsubscribe", ONE, (A,)),
        ("set_muted", A, True),
        ("close_peer", ONE),
    ]


async def test_a_slow_answer_holds_up_its_own_peer_only() -> None:
    async with asyncio.TaskGroup() as tasks:
        desk = Desk(tasks)
        desk.work.do(OpenPeer(ONE, "room"))
        desk.media.held = asyncio.Event()
        desk.work.do(AnswerOffer(ONE, "offer", ()))
        desk.work.do(ClosePeer(ONE))
        await asyncio.sleep(0)
        desk.work.do(OpenPeer(TWO, "room"))
        await asyncio.sleep(0)
        assert [verb[0] for verb in desk.media.verbs] == ["open_peer", "answer", "open_peer"]
        assert desk.reports == []
        desk.media.held.set()
    assert isinstance(desk.reports[0], OfferAnswered)
    assert desk.media.verbs[-1] == ("close_peer", ONE)


async def test_a_refused_offer_is_reported_with_its_code() -> None:
    async with asyncio.TaskGroup() as tasks:
        desk = Desk(tasks)
        desk.work.do(OpenPeer(ONE, "room"))
        desk.work.do(AnswerOffer(ONE, "broken", ()))
    assert desk.reports == [OfferRefused(ONE, "offer_invalid", "This is not SDP.")]
    assert desk.failures == ["offer_invalid"]


async def test_a_media_plane_that_hangs_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_work, "VERB_TIMEOUT", 0.01)
    async with asyncio.TaskGroup() as tasks:
        desk = Desk(tasks)
        desk.media.held = asyncio.Event()
        desk.work.do(OpenPeer(ONE, "room"))
        desk.work.do(AnswerOffer(ONE, "offer", ()))
        desk.work.do(ClosePeer(ONE))
    assert [report.code for report in desk.reports if isinstance(report, OfferRefused)] == ["media_timeout"]
    assert desk.media.verbs[-1] == ("close_peer", ONE)
