"""What is told by RTCP: how tracks arrive, what slots were sent, what is missing, and when a picture is needed."""

from __future__ import annotations

from typing import TypeVar

import pytest

from sfu import rtcp
from sfu.counters import Counters
from sfu.media_plane import TrackId
from sfu.outbound import OutboundStream
from sfu.published import Published
from sfu.reports import to_ntp
from sfu.rtcp_exchange import RtcpExchange
from sfu.sources import Source
from sfu.srtp import Keys, Session
from sfu.transport_cc import FeedbackRecorder

from .media import GCM, Receiver, track_of, video

OURS, CAMERA, SLOT = 9, 1, 5000
EPOCH = 1_700_000_000.0  # seconds since 1970 when the monotonic clock was 0
Item = TypeVar("Item", bound=rtcp.Rtcp)


class World:
    """A peer that publishes a camera and has a slot; what is sent to it is kept."""

    def __init__(self) -> None:
        self.srtp: Session | None = Session(Keys(GCM, bytes(28), bytes(28)))
        self.sent: list[bytes] = []
        self.camera, self.slot = track_of(), Receiver(SLOT).stream
        self.camera.ssrc = CAMERA
        self.streams = {SLOT: self.slot}
        self.feedback, self.counters = FeedbackRecorder(), Counters()
        published = Published(TrackId("camera"), "0", "video", self.camera)
        sources = {CAMERA: Source(published, repairs=False), 2: Source(published, repairs=True)}
        self.exchange = RtcpExchange(
            self,
            OURS,
            {"0": published},
            self.streams,
            sources,
            self.feedback,
            self.counters,
            lambda now: EPOCH + now,
        )

    def send_rtcp(self, packet: bytes) -> None:
        self.sent.append(packet)

    def told(self, kind: type[Item]) -> list[Item]:
        """What of this kind was sent since the last look at anything."""
        items = [item for packet in self.sent for item in rtcp.parse(packet)]
        self.sent.clear()
        return [item for item in items if isinstance(item, kind)]

    def hears(self, packet: bytes, now: float) -> None:
        for item in rtcp.parse(packet):
            self.exchange.handle(item, now)

    def fill(self, stream: OutboundStream, at: float) -> None:
        """The camera, of which 90 packets have come by `at`, travels in `stream`."""
        self.camera.attach(stream, at)
        for number in range(90):
            self.camera.receive(video(number, key=number == 0), -1, -1, at)


@pytest.fixture
def world() -> World:
    return World()


def test_before_there_are_keys_nothing_is_reported(world: World) -> None:
    world.srtp = None
    world.exchange.send_reports(1.0)
    assert world.sent == []


def test_a_report_tells_how_the_tracks_arrive_and_who_we_are(world: World) -> None:
    for number in (0, 1, 3):
        world.camera.receive(video(number), -1, -1, 0.1 * number)
    world.exchange.send_reports(1.0)
    assert b"auralink-00000009" in world.sent[0]
    (report,) = world.told(rtcp.ReceiverReport)
    assert [(block.ssrc, block.packets_lost) for block in report.reports] == [(CAMERA, 1)]


def test_a_slots_report_pairs_our_clock_with_its_own_timestamps(world: World) -> None:
    world.slot._timestamp, world.slot._stopped_at = 77_000, 0.0  # another track was there before
    world.fill(world.slot, at=2.0)
    offset = world.slot.timestamp_offset
    assert offset
    # The client's clock is an hour behind ours; the report says when the picture 900 was taken.
    world.hears(rtcp.sender_report(rtcp.SenderReport(CAMERA, to_ntp(EPOCH - 3600), 900, 0, 0)), 2.0)
    world.exchange.send_reports(3.0)
    (report,) = world.told(rtcp.SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (SLOT, 90, 180)
    assert report.ntp == pytest.approx(to_ntp(EPOCH + 3.0), abs=1 << 16)
    assert report.timestamp == pytest.approx(900 + 90_000 + offset, abs=9)


def test_of_a_slot_whose_track_has_told_no_time_nothing_is_told(world: World) -> None:
    world.fill(world.slot, at=2.0)
    world.hears(rtcp.sender_report(rtcp.SenderReport(2, to_ntp(EPOCH), 900, 0, 0)), 2.0)  # its retransmissions' clock
    world.exchange.send_reports(3.0)
    assert world.told(rtcp.SenderReport) == []


def test_reports_of_many_slots_are_told_in_packets_that_fit_into_datagrams(world: World) -> None:
    world.streams |= {ssrc: Receiver(ssrc).stream for ssrc in range(6000, 6100, 2)}
    world.camera.sync = EPOCH, 0
    for stream in world.streams.values():
        world.fill(stream, at=2.0)
        world.camera.restart(2.0)
    world.exchange.send_reports(3.0)
    assert len(world.sent) > 1
    assert max(map(len, world.sent)) <= 1200
    assert all(isinstance(rtcp.parse(packet)[0], rtcp.ReceiverReport) for packet in world.sent)
    assert [report.ssrc for report in world.told(rtcp.SenderReport)] == list(world.streams)


def test_a_report_on_ours_tells_how_long_the_way_is(world: World) -> None:
    sent_at, held = to_ntp(EPOCH + 5.0) >> 16 & 0xFFFFFFFF, 0.25
    block = rtcp.ReportBlock(SLOT, 0, 0, 0, 0, sent_at, int(held * 65536))
    world.hears(rtcp.receiver_report(1, [block]), 5.45)
    assert world.slot.round_trip == pytest.approx(0.2, abs=0.001)


def test_what_is_missing_is_asked_for_and_counted_once(world: World) -> None:
    for number in (0, 1, 4):
        world.camera.receive(video(number, key=True), -1, -1, 0.0)
    for now in (0.02, 0.2):
        world.exchange.repair(now)
        assert [request.sequences for request in world.told(rtcp.Nack)] == [(2, 3)]
    assert (world.counters.packets_missed, world.counters.nacks_sent) == (2, 2)


def test_a_picture_is_asked_for_under_the_tracks_ssrc_once_there_is_one(world: World) -> None:
    world.exchange.request_keyframe(world.camera)
    world.camera.ssrc = 0
    world.exchange.request_keyframe(world.camera)
    assert [request.media_ssrcs for request in world.told(rtcp.KeyframeRequest)] == [(CAMERA,)]
    assert world.counters.keyframes_requested == 1


def test_arrivals_are_told_for_the_estimate_of_the_bandwidth_and_only_once(world: World) -> None:
    world.exchange.send_feedback()
    assert world.sent == []
    world.feedback.received(1, 1.0)
    world.exchange.send_feedback()
    world.exchange.send_feedback()
    assert [message.media_ssrc for message in world.told(rtcp.TransportFeedback)] == [CAMERA]
