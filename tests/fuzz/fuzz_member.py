"""Whatever a member encrypts (RTP, RTX, RED, RTCP) raises nothing, fills no table and makes the server send little."""

from __future__ import annotations

from sfu.codecs import OPUS
from sfu.outbound import PayloadTypes
from sfu.sources import MAX_SOURCES
from sfu.srtp import Keys, Session
from tests.sfu.media import GCM, Receiver
from tests.sfu.test_hostile import OURS, THEIRS, Connected

from .harness import unpacked

MOST_SENT = 1000  # datagrams; in the second that the packets of one input take at most


class _Open(Session):
    """Keys that everybody has: what arrives is taken as it is, so that mutations reach what lies behind SRTP."""

    def unprotect_rtp(self, packet: bytes) -> bytes:
        return packet

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return packet


def run(data: bytes) -> None:
    connected = Connected()
    connected.fill_slot(50)
    peer = connected.peer
    peer.transport.srtp = _Open(Keys(GCM, OURS, THEIRS))
    peer.published["a"].red_formats = {63: 111}
    others = [Receiver(6000), Receiver(7000), Receiver(8000, codecs={OPUS: PayloadTypes(109, None, 101)})]
    for track, other in zip((connected.camera, connected.microphone, connected.microphone), others, strict=True):
        track.attach(other.stream, connected.now)
    for datagram in unpacked(data):
        if len(datagram) >= 2:
            connected.now += 0.010
            peer.receive(datagram, connected.now)
    for _ in range(5):
        connected.now += 0.100
        peer.rtcp.repair(connected.now)
        peer.rtcp.send_feedback()
        peer.rtcp.send_reports(connected.now)
    assert len(peer.transport.queue) <= MOST_SENT
    assert all(len(datagram) <= 1500 for datagram in peer.transport.queue)
    assert len(peer.sources.by_ssrc) <= MAX_SOURCES
    for other in others:
        assert len(other.packets()) <= len(data)  # they decrypt, and are RTP
