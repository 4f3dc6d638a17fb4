"""One peer: the tracks it publishes, the slots it receives in, and what its packets ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from . import red, rtcp, rtp
from .budgets import (
    CHECKS,
    KEYFRAME_REQUESTS,
    PUBLISHED_KBPS,
    PUBLISHED_PACKETS_PER_SECOND,
    RTCP_BYTES_PER_SECOND,
    RTCP_PACKETS_PER_SECOND,
    Allowance,
    Budget,
)
from .codecs import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC, VIDEO_ORIENTATION
from .counters import Counters
from .inbound import InboundTrack, nobody
from .media_plane import PeerId
from .outbound import OutboundStream
from .published import Published
from .reports import RemoteClock, round_trip, to_ntp
from .rtp import Packet
from .slots import SlotPool
from .srtp import SrtpError
from .transport_cc import FeedbackRecorder

if TYPE_CHECKING:
    from .transport import PeerTransport

# SSRCs that a client may use: two per track and some that ended. More is somebody filling our tables.
_MAX_SOURCES: Final = 256
# libsrtp keeps a context for each SSRC that ever authenticated.
_MAX_HEARD: Final = 1024
_MAX_RTCP_BYTES: Final = 1200


@dataclass(frozen=True, slots=True)
class _Source:
    """What an SSRC carries; `repairs` if it is a track's RTX stream."""

    published: Published
    repairs: bool


class Peer:
    """`wall` turns the monotonic `now` of the methods into seconds since 1970.

    `publish_kbps` is how much it may send us; what is above that is dropped before it is decrypted.
    """

    def __init__(
        self,
        peer_id: PeerId,
        room: str,
        transport: PeerTransport,
        pool: SlotPool[OutboundStream],
        rtcp_ssrc: int,
        counters: Counters,
        wall: Callable[[float], float],
        publish_kbps: int = PUBLISHED_KBPS,
    ) -> None:
        self.id = peer_id
        self.room = room
        self.transport = transport
        self.pool = pool
        self.rtcp_ssrc = rtcp_ssrc
        self.cname = f"auralink-{rtcp_ssrc:08x}"
        self.published: dict[str, Published] = {}
        self.streams: dict[int, OutboundStream] = {}
        self.slots: dict[str, OutboundStream] = {}
        self.feedback = FeedbackRecorder()
        self.checked = False  # by a first authentic connectivity check
        # Strangers who know our name must not silence the checks from where we know the client to be.
        self.known_checks, self.strange_checks = Budget(CHECKS), Budget(CHECKS)
        self.mid_id = 0
        self.transport_cc_id = 0
        self._clock = RemoteClock()
        self._sources: dict[int, _Source] = {}
        self._heard: set[bytes] = set()
        self._replaying: dict[OutboundStream, None] = {}
        self._counters = counters
        self._wall = wall
        self._rtp_allowance = Allowance(PUBLISHED_PACKETS_PER_SECOND, publish_kbps * 125)
        self._rtcp_allowance = Allowance(RTCP_PACKETS_PER_SECOND, RTCP_BYTES_PER_SECOND)
        self._keyframe_requests = Budget(KEYFRAME_REQUESTS)

    # ------------------------------------------------------------------------------------------- sections

    def publish(
        self, published: Published, ssrcs: Mapping[int, int | None], extensions: Mapping[str, int], now: float
    ) -> None:
        """A section was accepted for publishing; `ssrcs` are those its offer announced, media -> RTX."""
        self.published[published.mid] = published
        published.level_id = extensions.get(AUDIO_LEVEL, 0)
        published.orientation_id = extensions.get(VIDEO_ORIENTATION, 0)
        self.mid_id = extensions.get(MID, self.mid_id)
        self.transport_cc_id = extensions.get(TRANSPORT_WIDE_CC, self.transport_cc_id)
        published.track.ask_keyframe = lambda: self.request_keyframe(published.track)
        for media, rtx in list(ssrcs.items())[:1]:  # one layer per track
            self._set_source(published, media, now)
            if rtx is not None:
                self._sources[rtx] = _Source(published, repairs=True)

    def unpublish(self, mid: str) -> Published | None:
        """The section publishes no longer."""
        published = self.published.pop(mid, None)
        if published is not None:
            published.track.ask_keyframe = nobody  # else each would keep the other: it is ours, and we are in it
        self._sources = {ssrc: kept for ssrc, kept in self._sources.items() if kept.published is not published}
        return published

    def connect_slot(self, stream: OutboundStream) -> None:
        """Give a slot the keys, if there are keys yet."""
        if self.transport.srtp is not None:
            stream.connect(self.transport.srtp, self.transport.queue, self.transport.mark_dirty)

    # ------------------------------------------------------------------------------------------- packets in

    def has_heard(self, datagram: bytes) -> bool:
        """Whether an SRTP or SRTCP packet (at least 12 bytes) names a source that was authentic here before."""
        return (datagram[4:8] if rtp.is_rtcp(datagram) else datagram[8:12]) in self._heard

    def receive(self, datagram: bytes, now: float) -> bool:
        """Take an SRTP or SRTCP packet (at least two bytes). True if it was authentic."""
        srtp = self.transport.srtp
        dropped = self._counters.dropped
        if srtp is None:
            dropped["before_keys"] += 1
            return False
        is_rtcp = rtp.is_rtcp(datagram)
        size = len(datagram)
        allowance = self._rtcp_allowance if is_rtcp else self._rtp_allowance
        allowance.packets -= 1
        allowance.bytes -= size
        if (allowance.packets < 0 or allowance.bytes < 0) and not allowance.refill(size, now):
            dropped["rtcp_rate" if is_rtcp else "publish_rate"] += 1
            return False
        ssrc = datagram[4:8] if is_rtcp else datagram[8:12]
        if ssrc not in self._heard and len(self._heard) >= _MAX_HEARD:
            dropped["too_many_ssrcs"] += 1
            return False
        try:
            if is_rtcp:
                plain = srtp.unprotect_rtcp(datagram)
                self._heard.add(ssrc)
                for item in rtcp.parse(plain):
                    handler = _RTCP_HANDLERS.get(type(item))
                    if handler is not None:
                        handler(self, item, now)
            else:
                plain = srtp.unprotect_rtp(datagram)
                self._heard.add(ssrc)
                self._receive_rtp(rtp.parse(plain), now)
        except SrtpError:
            dropped["srtp_unauthentic_or_replayed"] += 1
            return False
        except rtp.RtpError:
            dropped["rtp_malformed"] += 1
        except rtcp.RtcpError:
            dropped["rtcp_malformed"] += 1
        return True

    def _receive_rtp(self, packet: Packet, now: float) -> None:
        number = packet.extensions.get(self.transport_cc_id)
        if number is not None and len(number) == 2:
            self.feedback.received(number[0] << 8 | number[1], now)
        source = self._sources.get(packet.ssrc) or self._resolve(packet, now)
        if source is None:
            return
        published = source.published
        if source.repairs:
            restored = self._unwrap_rtx(packet, published)
            if restored is None:
                return
            packet = restored
        payload_type = packet.payload_type
        primary_at = 0
        if payload_type in published.red_formats:
            payload_type = published.red_formats[payload_type]
            try:
                primary_at = red.primary_at(packet.payload, payload_type)
            except red.RedError:
                self._counters.dropped["red_malformed"] += 1
                return
        codec = published.formats.get(payload_type)
        if codec is None:
            self._counters.dropped["unknown_payload_type"] += 1
            return
        track = published.track
        # A late or repaired packet may be of the codec before.
        if codec is not track.codec and not source.repairs and track.is_newest(packet.sequence):
            if codec != track.codec and not track.restarts.take(now):
                self._counters.dropped["source_restarts"] += 1
                return
            track.set_codec(codec, now)
        level = packet.extensions.get(published.level_id)
        orientation = packet.extensions.get(published.orientation_id)
        fresh = track.receive(
            packet,
            level[0] if level else -1,
            orientation[0] if orientation else -1,
            now,
            repaired=source.repairs,
            primary_at=primary_at,
        )
        if not fresh:
            self._counters.dropped["source_restarts" if track.restart_refused else "duplicate_or_late"] += 1
            track.restart_refused = False
        elif source.repairs:
            self._counters.packets_repaired += 1

    def _resolve(self, packet: Packet, now: float) -> _Source | None:
        """Whose packet is it? The mid says so (RFC 9143 section 9.2), else a payload type of one section only."""
        dropped = self._counters.dropped
        if len(self._sources) >= _MAX_SOURCES:
            dropped["unknown_ssrc"] += 1
            return None
        mid = packet.extensions.get(self.mid_id)
        if mid is not None:
            candidates = [p for p in self.published.values() if p.mid.encode() == mid]
        else:
            candidates = [
                p
                for p in self.published.values()
                if packet.payload_type in p.formats or packet.payload_type in p.red_formats
            ]
        if len(candidates) != 1:
            dropped["unknown_ssrc"] += 1  # Chromium's bandwidth probes on SSRC 0 among them
            return None
        published = candidates[0]
        if packet.payload_type in published.rtx_formats:
            source = self._sources[packet.ssrc] = _Source(published, repairs=True)
            return source
        if published.track.ssrc and not published.track.restarts.take(now):
            dropped["source_restarts"] += 1
            return None
        return self._set_source(published, packet.ssrc, now)

    def _set_source(self, published: Published, ssrc: int, now: float) -> _Source:
        """The track's packets come under `ssrc` now; under the one before, nothing is its any more."""
        track = published.track
        if track.ssrc and track.ssrc != ssrc:
            self._sources.pop(track.ssrc, None)
            track.restart(now)
        track.ssrc = ssrc
        source = self._sources[ssrc] = _Source(published, repairs=False)
        return source

    def _unwrap_rtx(self, packet: Packet, published: Published) -> Packet | None:
        """RFC 4588 section 4: the payload begins with the original sequence number. Probes have no payload."""
        payload_type = published.rtx_formats.get(packet.payload_type)
        if payload_type is None or len(packet.payload) <= 2:
            return None
        sequence = packet.payload[0] << 8 | packet.payload[1]
        return packet._replace(
            payload_type=payload_type, sequence=sequence, ssrc=published.track.ssrc, payload=packet.payload[2:]
        )

    # ------------------------------------------------------------------------------------------- RTCP in

    def _on_sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        source = self._sources.get(report.ssrc)
        if source is not None and not source.repairs:
            track = source.published.track
            track.reception.sender_report(report, now)
            track.sync = (self._clock.to_local(report.ntp, self._wall(now)), report.timestamp)
        self._on_blocks(report.reports, now)

    def _on_receiver_report(self, report: rtcp.ReceiverReport, now: float) -> None:
        self._on_blocks(report.reports, now)

    def _on_blocks(self, blocks: tuple[rtcp.ReportBlock, ...], now: float) -> None:
        for block in blocks:
            stream = self.streams.get(block.ssrc)
            if stream is not None:
                seconds = round_trip(block, to_ntp(self._wall(now)))
                if seconds is not None:
                    stream.round_trip = seconds

    def _on_nack(self, request: rtcp.Nack, now: float) -> None:
        stream = self.streams.get(request.media_ssrc)
        if stream is None:
            return
        self._counters.nacks_received += 1
        sent, refused = stream.resend(request.sequences, now)
        self._counters.resends += sent
        self._counters.resends_refused += refused
        if stream.replaying:
            self._replaying[stream] = None
        if stream.outrun:
            self._want_keyframe(stream, now)

    def _on_keyframe_request(self, request: rtcp.KeyframeRequest, now: float) -> None:
        for ssrc in request.media_ssrcs[:8]:
            self._want_keyframe(self.streams.get(ssrc), now)

    def _want_keyframe(self, stream: OutboundStream | None, now: float) -> None:
        track = stream.track if stream is not None else None
        if not self._keyframe_requests.take(now):
            self._counters.refused["keyframe_request"] += 1
        elif track is not None:
            track.want_keyframe(now)

    # ------------------------------------------------------------------------------------------- RTCP out

    def request_keyframe(self, track: InboundTrack) -> None:
        """Ask this peer for a keyframe of one of its tracks."""
        if track.ssrc:
            self._counters.keyframes_requested += 1
            self.transport.send_rtcp(rtcp.picture_loss_indication(self.rtcp_ssrc, track.ssrc))

    def repair(self, now: float) -> None:
        """Ask again for what is missing, packets and keyframes, and go on with what the peer asked again for."""
        for stream in list(self._replaying):
            self._counters.resends += stream.replay(now)
            if not stream.replaying:
                del self._replaying[stream]
        for published in self.published.values():
            track = published.track
            if track.loss:
                before = track.loss.missed
                missing = track.loss.due(now)
                self._counters.packets_missed += track.loss.missed - before
                if missing:
                    self._counters.nacks_sent += 1
                    self.transport.send_rtcp(rtcp.nack(self.rtcp_ssrc, track.ssrc, missing))
            track.retry_keyframe(now)

    def send_feedback(self) -> None:
        """Report arrivals for the client's bandwidth estimate."""
        if not self.feedback.pending:
            return
        media_ssrc = next((published.track.ssrc for published in self.published.values()), 0)
        for body in self.feedback.messages():
            self.transport.send_rtcp(rtcp.transport_feedback(self.rtcp_ssrc, media_ssrc, body))

    def send_reports(self, now: float) -> None:
        """The regular reports: how the peer's tracks arrive here, and what its slots were sent."""
        if self.transport.srtp is None:
            return
        blocks = [
            block
            for published in self.published.values()
            if published.track.ssrc and (block := published.track.reception.block(published.track.ssrc, now))
        ]
        compound = rtcp.receiver_report(self.rtcp_ssrc, blocks[:31])
        compound += rtcp.source_description(self.rtcp_ssrc, self.cname)
        for stream in self.streams.values():
            stream.measure(now)
            report = self._sender_report(stream, now)
            if report is None:
                continue
            if len(compound) + len(report) > _MAX_RTCP_BYTES:
                self.transport.send_rtcp(compound)
                compound = rtcp.receiver_report(self.rtcp_ssrc, [])
            compound += report
        self.transport.send_rtcp(compound)

    def _sender_report(self, stream: OutboundStream, now: float) -> bytes | None:
        """The source's own pairing of clock and timestamp, moved to now, in our clock and the slot's timestamps."""
        track = stream.track
        if track is None or track.sync is None or stream.packets == 0:
            return None
        at, timestamp = track.sync
        wall = self._wall(now)
        timestamp += round((wall - at) * track.clock_rate) + stream.timestamp_offset
        return rtcp.sender_report(
            rtcp.SenderReport(
                stream.ssrc,
                to_ntp(wall),
                timestamp & 0xFFFFFFFF,
                stream.packets & 0xFFFFFFFF,
                stream.octets & 0xFFFFFFFF,
            )
        )


# A table of bound methods in each peer would be a cycle of references, and keep it until the collector comes.
_RTCP_HANDLERS: Final[Mapping[type, Callable[..., None]]] = {
    rtcp.SenderReport: Peer._on_sender_report,
    rtcp.ReceiverReport: Peer._on_receiver_report,
    rtcp.Nack: Peer._on_nack,
    rtcp.KeyframeRequest: Peer._on_keyframe_request,
}
