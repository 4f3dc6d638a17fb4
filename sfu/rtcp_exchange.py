"""What a peer and we tell each other by RTCP: reports, losses, keyframes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from . import rtcp
from .budgets import KEYFRAME_REQUESTS, Budget
from .counters import Counters
from .inbound import InboundTrack
from .outbound import OutboundStream
from .published import Published
from .reports import RemoteClock, round_trip, to_ntp
from .sources import Source
from .srtp import Session
from .transport_cc import FeedbackRecorder

_MAX_RTCP_BYTES: Final = 1200


class Wire(Protocol):
    """What our packets leave by."""

    @property
    def srtp(self) -> Session | None:
        """The keys, once there are any."""

    def send_rtcp(self, packet: bytes) -> None:
        """Send a compound packet, unless nothing may be sent now."""


class RtcpExchange:
    """`published` (by mid), `streams` (by SSRC), `by_ssrc` and `feedback` are the peer's, which goes on changing them.

    `wall` turns the monotonic `now` of the methods into seconds since 1970; we report under `ssrc`.
    """

    def __init__(
        self,
        wire: Wire,
        ssrc: int,
        published: Mapping[str, Published],
        streams: Mapping[int, OutboundStream],
        by_ssrc: Mapping[int, Source],
        feedback: FeedbackRecorder,
        counters: Counters,
        wall: Callable[[float], float],
    ) -> None:
        self.ssrc = ssrc
        self.cname = f"auralink-{ssrc:08x}"
        self._wire = wire
        self._published = published
        self._streams = streams
        self._by_ssrc = by_ssrc
        self._feedback = feedback
        self._counters = counters
        self._wall = wall
        self._clock = RemoteClock()
        self._replaying: dict[OutboundStream, None] = {}
        self._keyframe_requests = Budget(KEYFRAME_REQUESTS)

    # ------------------------------------------------------------------------------------------- in

    def handle(self, item: rtcp.Rtcp, now: float) -> None:
        """Do what a part of a compound packet of the peer's asks for; one that asks for nothing is ignored."""
        handler = _HANDLERS.get(type(item))
        if handler is not None:
            handler(self, item, now)

    def _on_sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        source = self._by_ssrc.get(report.ssrc)
        if source is not None and not source.repairs:
            track = source.published.track
            track.reception.sender_report(report, now)
            track.sync = (self._clock.to_local(report.ntp, self._wall(now)), report.timestamp)
        self._on_blocks(report.reports, now)

    def _on_receiver_report(self, report: rtcp.ReceiverReport, now: float) -> None:
        self._on_blocks(report.reports, now)

    def _on_blocks(self, blocks: tuple[rtcp.ReportBlock, ...], now: float) -> None:
        for block in blocks:
            stream = self._streams.get(block.ssrc)
            if stream is not None:
                seconds = round_trip(block, to_ntp(self._wall(now)))
                if seconds is not None:
                    stream.round_trip = seconds

    def _on_nack(self, request: rtcp.Nack, now: float) -> None:
        stream = self._streams.get(request.media_ssrc)
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
            self._want_keyframe(self._streams.get(ssrc), now)

    def _want_keyframe(self, stream: OutboundStream | None, now: float) -> None:
        track = stream.track if stream is not None else None
        if not self._keyframe_requests.take(now):
            self._counters.refused["keyframe_request"] += 1
        elif track is not None:
            track.want_keyframe(now)

    # ------------------------------------------------------------------------------------------- out

    def request_keyframe(self, track: InboundTrack) -> None:
        """Ask the peer for a keyframe of one of its tracks."""
        if track.ssrc:
            self._counters.keyframes_requested += 1
            self._wire.send_rtcp(rtcp.picture_loss_indication(self.ssrc, track.ssrc))

    def repair(self, now: float) -> None:
        """Ask again for what is missing, packets and keyframes, and go on with what the peer asked again for."""
        for stream in list(self._replaying):
            self._counters.resends += stream.replay(now)
            if not stream.replaying:
                del self._replaying[stream]
        for published in self._published.values():
            track = published.track
            if track.loss:
                before = track.loss.missed
                missing = track.loss.due(now)
                self._counters.packets_missed += track.loss.missed - before
                if missing:
                    self._counters.nacks_sent += 1
                    self._wire.send_rtcp(rtcp.nack(self.ssrc, track.ssrc, missing))
            track.retry_keyframe(now)

    def send_feedback(self) -> None:
        """Report arrivals for the client's bandwidth estimate."""
        if not self._feedback.pending:
            return
        media_ssrc = next((published.track.ssrc for published in self._published.values()), 0)
        for body in self._feedback.messages():
            self._wire.send_rtcp(rtcp.transport_feedback(self.ssrc, media_ssrc, body))

    def send_reports(self, now: float) -> None:
        """The regular reports: how the peer's tracks arrive here, and what its slots were sent."""
        if self._wire.srtp is None:
            return
        blocks = [
            block
            for published in self._published.values()
            if published.track.ssrc and (block := published.track.reception.block(published.track.ssrc, now))
        ]
        compound = rtcp.receiver_report(self.ssrc, blocks[:31])
        compound += rtcp.source_description(self.ssrc, self.cname)
        for stream in self._streams.values():
            stream.measure(now)
            report = self._sender_report(stream, now)
            if report is None:
                continue
            if len(compound) + len(report) > _MAX_RTCP_BYTES:
                self._wire.send_rtcp(compound)
                compound = rtcp.receiver_report(self.ssrc, [])
            compound += report
        self._wire.send_rtcp(compound)

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


# A table of bound methods in each exchange would be a cycle of references, and keep it until the collector comes.
_HANDLERS: Final[Mapping[type, Callable[..., None]]] = {
    rtcp.SenderReport: RtcpExchange._on_sender_report,
    rtcp.ReceiverReport: RtcpExchange._on_receiver_report,
    rtcp.Nack: RtcpExchange._on_nack,
    rtcp.KeyframeRequest: RtcpExchange._on_keyframe_request,
}
