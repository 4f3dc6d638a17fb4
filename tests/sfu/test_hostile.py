"""A member of the call who sends what he likes: it is counted, and neither raises nor reaches the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp, rtp, stun
from sfu.codecs import OPUS, VP8
from sfu.counters import Counters
from sfu.demux import Demux
from sfu.dtls import Certificate
from sfu.ice_lite import Credentials
from sfu.inbound import InboundTrack
from sfu.peer import _MAX_HEARD, Peer
from sfu.published import Published
from sfu.slots import SlotPool
from sfu.sources import MAX_SOURCES
from sfu.srtp import Keys, Session
from sfu.transport import PeerTransport

from .hostile import FEW, datagrams
from .media import GCM, Receiver, audio, track_of, video
from .test_demux import HERE, Socket

CERTIFICATE = Certificate()
OURS, THEIRS = bytes(range(28)), bytes(range(60, 88))


def _bits(count: int) -> int:
    return (1 << count) - 1


class Connected:
    """A connected peer that publishes a camera (SSRC 1, RTX 2) and a microphone (3), has a slot, and its far end."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counters = Counters()
        self.socket = Socket()
        self.demux = Demux(self.counters, lambda: self.now, lambda peer: None)
        credentials = Credentials("ann", "p" * 32)
        transport = PeerTransport(
            credentials, credentials, (), CERTIFICATE, self.counters, [], lambda *_: None, _bits, self.now
        )
        transport.srtp = Session(Keys(GCM, OURS, THEIRS))
        transport.state = "connected"
        self.peer = Peer("ann", "room", transport, SlotPool({}, {}), 9, self.counters, float)  # type: ignore[arg-type]
        self.camera = self.publish("v", track_of(), {1: 2}, {96: VP8}, {97: 96})
        self.microphone = self.publish("a", track_of("audio"), {3: None}, {111: OPUS}, {})
        self.slot = Receiver(5000).stream
        self.peer.streams[5000] = self.slot
        self.peer.connect_slot(self.slot)
        self.peer.checked = True
        self.demux.register(self.peer)
        self.far = Session(Keys(GCM, THEIRS, OURS))
        self.arrive(stun.binding_request(b"t" * 12, "ann:x", "p" * 32, 1, 1, nominate=True))

    def publish(
        self, mid: str, track: InboundTrack, ssrcs: dict[int, int | None], formats: object, rtx: object
    ) -> InboundTrack:
        published = Published(mid, mid, track.kind, track)  # type: ignore[arg-type]
        published.formats, published.rtx_formats = formats, rtx  # type: ignore[assignment]
        self.peer.publish(published, ssrcs, {}, self.now)
        return track

    def arrive(self, datagram: bytes) -> None:
        self.demux.on_datagram(self.socket, datagram, HERE)  # type: ignore[arg-type]

    def fill_slot(self, packets: int) -> None:
        """Somebody else's video in the slot."""
        other = track_of()
        other.attach(self.slot, self.now)
        for sequence in range(packets):
            other.receive(video(sequence, key=sequence == 0, timestamp=0), -1, -1, self.now)
        self.peer.transport.queue.clear()


PLAIN_RTP = [
    rtp.pack(video(5, key=True)),
    rtp.pack(audio(5)._replace(ssrc=3, extensions={1: b"x"})),
    rtp.pack(video(6)._replace(ssrc=2, payload_type=97, payload=b"\0\5" + bytes(9))),
]
PLAIN_RTCP = [
    rtcp.receiver_report(1, [rtcp.ReportBlock(5000, 1, 2, 3, 4, 5, 6)]) + rtcp.source_description(1, "x"),
    rtcp.sender_report(rtcp.SenderReport(1, 5 << 32, 6, 7, 8)),
    rtcp.nack(1, 5000, [100, 101, 200]),
    rtcp.picture_loss_indication(1, 5000),
    rtcp.transport_feedback(1, 5000, bytes(12)),
    rtcp.bye([1, 2]),
]
CHECK = stun.binding_request(b"t" * 12, "ann:x", "p" * 32, 1, 1, nominate=True)
WIRE = [CHECK, b"\x16\xfe\xfd" + bytes(20), b"\x80\x60" + bytes(30), b"\x80\xc8" + bytes(40)]


@pytest.fixture(scope="module")
def lasting() -> Connected:
    """One peer for all examples: what one leaves behind must not hurt the next either."""
    connected = Connected()
    connected.fill_slot(200)
    return connected


@FEW
@given(st.lists(datagrams(WIRE), max_size=8))
def test_no_datagram_raises(lasting: Connected, arriving: list[bytes]) -> None:
    for datagram in arriving:
        lasting.arrive(datagram)


@FEW
@given(st.lists(datagrams(PLAIN_RTP), max_size=8))
def test_no_authentic_rtp_raises_whatever_is_inside(lasting: Connected, arriving: list[bytes]) -> None:
    before = lasting.counters.packets_received
    sent = 0
    for plain in arriving:
        if len(plain) < 12 or plain[0] >> 6 != 2 or rtp.is_rtcp(plain):
            continue  # not even a client's libsrtp takes it
        try:
            datagram = lasting.far.protect_rtp(plain)
        except Exception:
            continue
        lasting.arrive(datagram)
        sent += 1
    assert lasting.counters.packets_received == before + sent


@FEW
@given(st.lists(datagrams(PLAIN_RTCP), max_size=8), st.floats(0, 1))
def test_no_authentic_rtcp_raises_whatever_is_inside(lasting: Connected, arriving: list[bytes], seconds: float) -> None:
    lasting.now += seconds
    for plain in arriving:
        if len(plain) >= 8:
            lasting.arrive(lasting.far.protect_rtcp(plain))
    lasting.peer.rtcp.repair(lasting.now)
    lasting.peer.rtcp.send_feedback()
    lasting.peer.rtcp.send_reports(lasting.now)
    lasting.peer.transport.queue.clear()


def test_malformed_packets_of_an_authentic_peer_are_counted() -> None:
    connected = Connected()
    connected.arrive(connected.far.protect_rtp(b"\x90\x60" + bytes(9) + b"\1\xbe\xde\0\1\x1f\0\0\0"))
    connected.arrive(connected.far.protect_rtcp(b"\x81\xce" + b"\xff\xff" + bytes(8)))
    connected.arrive(b"\x80\x60" + bytes(40))
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(1)._replace(ssrc=77, payload_type=55))))
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(1)._replace(payload_type=55))))
    assert set(connected.counters.dropped) == {
        "rtp_malformed",
        "rtcp_malformed",
        "srtp_unauthentic_or_replayed",
        "unknown_ssrc",
        "unknown_payload_type",
    }


def test_a_replayed_packet_is_dropped() -> None:
    connected = Connected()
    datagram = connected.far.protect_rtp(rtp.pack(video(1, key=True)))
    for _ in range(3):
        connected.arrive(datagram)
    assert connected.counters.dropped == {"srtp_unauthentic_or_replayed": 2}


def test_packets_before_keys_are_dropped() -> None:
    connected = Connected()
    connected.peer.transport.srtp = None
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(1))))
    assert connected.counters.dropped == {"before_keys": 1}


def test_a_flood_of_nacks_is_answered_at_a_bounded_rate() -> None:
    connected = Connected()
    connected.fill_slot(900)
    for _ in range(100):  # one second
        connected.now += 0.01
        for _ in range(3):
            connected.arrive(connected.far.protect_rtcp(rtcp.nack(1, 5000, range(100, 1000))))
    assert 300 <= connected.counters.resends <= 450
    assert connected.counters.resends_refused > 100_000
    assert len(connected.peer.transport.queue) == connected.counters.resends


def test_keyframe_requests_of_many_receivers_reach_the_source_twice_a_second_at_most() -> None:
    connected = Connected()
    for step in range(200):  # two seconds
        connected.now += 0.01
        for _ in range(20):
            connected.camera.want_keyframe(connected.now)
        connected.peer.rtcp.repair(connected.now)
        connected.camera.receive(video(step, key=True), -1, -1, connected.now)
    assert 1 <= connected.counters.keyframes_requested <= 4
    assert len(connected.peer.transport.queue) == connected.counters.keyframes_requested


def test_ever_new_ssrcs_fill_no_table() -> None:
    connected = Connected()
    for ssrc in range(10_000, 10_000 + 2 * _MAX_HEARD):
        connected.arrive(connected.far.protect_rtp(rtp.pack(video(1)._replace(ssrc=ssrc))))
    assert connected.counters.dropped["too_many_ssrcs"] >= _MAX_HEARD
    assert len(connected.peer.sources.by_ssrc) <= MAX_SOURCES
    refused = connected.counters.dropped["too_many_ssrcs"]
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(2)._replace(ssrc=10_001))))
    assert connected.counters.dropped["too_many_ssrcs"] == refused  # who was heard before is heard still


def test_requests_for_streams_that_are_not_the_receivers_own_do_nothing() -> None:
    connected = Connected()
    for packet in (rtcp.nack(1, 1, [5]), rtcp.picture_loss_indication(1, 1), rtcp.picture_loss_indication(1, 5000)):
        connected.arrive(connected.far.protect_rtcp(packet))
    assert connected.peer.transport.queue == []
    assert connected.counters.nacks_received == 0


def test_asking_for_what_is_not_there_uses_up_what_a_receiver_may_ask_for() -> None:
    connected = Connected()
    connected.fill_slot(20)
    start = connected.slot.next_number
    for _ in range(20):
        connected.arrive(connected.far.protect_rtcp(rtcp.nack(1, 5000, range(20_000, 20_300))))
    assert connected.counters.resends_refused >= 20 * 300 - 150 * 16
    connected.arrive(connected.far.protect_rtcp(rtcp.nack(1, 5000, [start - 1])))
    assert connected.counters.resends == 0
    connected.now += 0.1
    connected.arrive(connected.far.protect_rtcp(rtcp.nack(1, 5000, [start - 1])))
    assert connected.counters.resends == 1
