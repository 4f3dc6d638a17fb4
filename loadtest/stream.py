"""An outgoing RTP stream: numbers the payloads of a source, keeps some for retransmission, and reports what it sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sfu import rtcp, rtp
from sfu.reports import to_ntp

from .media import Payload

# More is repaired after a longer silence, fewer take less memory: 512 packets are 2 s of 2.5 Mbit/s.
_RING_PACKETS = 512

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_WIDE_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What the answer settled for one published section. RTX is None where it was not accepted."""

    mid: str
    ssrc: int
    payload_type: int
    clock_rate: int  # Hz
    extensions: Mapping[str, int]
    rtx_ssrc: int | None = None
    rtx_payload_type: int | None = None


class OutgoingStream:
    """Payloads in, plain RTP packets out; `transport_sequence` is the counter shared by all streams of a peer."""

    def __init__(self, settled: StreamFormat, *, sequence: int) -> None:
        self.format = settled
        self.packets = 0
        self.octets = 0
        self.retransmitted = 0
        self._sequence = sequence
        self._rtx_sequence = 0
        self._timestamp = 0
        self._timestamp_at = 0.0
        self._ring: dict[int, Payload] = {}
        ids = settled.extensions
        self._mid = ((ids[MID], settled.mid.encode()),) if MID in ids else ()
        self._cc_id = ids.get(TRANSPORT_WIDE_CC)
        self._level_id = ids.get(AUDIO_LEVEL)

    def packet(self, payload: Payload, transport_sequence: int, now: float) -> bytes:
        """The next packet of the stream."""
        sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
        if self.format.rtx_ssrc is not None:
            self._ring[sequence] = payload
            self._ring.pop((sequence - _RING_PACKETS) & 0xFFFF, None)
        self.packets += 1
        self.octets += len(payload.payload)
        self._timestamp, self._timestamp_at = payload.timestamp, now
        settled = self.format
        return self._pack(settled.payload_type, sequence, settled.ssrc, payload, payload.payload, transport_sequence)

    def retransmission(self, sequence: int, transport_sequence: int) -> bytes | None:
        """The RTX packet that repairs `sequence` (RFC 4588 section 4), None if that is too old or RTX is off."""
        payload = self._ring.get(sequence)
        settled = self.format
        if payload is None or settled.rtx_ssrc is None or settled.rtx_payload_type is None:
            return None
        self.retransmitted += 1
        own, self._rtx_sequence = self._rtx_sequence, (self._rtx_sequence + 1) & 0xFFFF
        body = sequence.to_bytes(2, "big") + payload.payload
        return self._pack(settled.rtx_payload_type, own, settled.rtx_ssrc, payload, body, transport_sequence)

    def _pack(
        self, payload_type: int, sequence: int, ssrc: int, payload: Payload, body: bytes, transport_sequence: int
    ) -> bytes:
        extensions = dict(self._mid)
        if self._cc_id is not None:
            extensions[self._cc_id] = (transport_sequence & 0xFFFF).to_bytes(2, "big")
        if self._level_id is not None and payload.level:
            extensions[self._level_id] = payload.level
        return rtp.pack(rtp.Packet(payload.marker, payload_type, sequence, payload.timestamp, ssrc, extensions, body))

    def sender_report(self, now: float, wall: float) -> bytes:
        """An SR for `now` (monotonic), which the clock on the wall calls `wall` (seconds since 1970)."""
        timestamp = self._timestamp + round((now - self._timestamp_at) * self.format.clock_rate)
        report = rtcp.SenderReport(
            self.format.ssrc, to_ntp(wall), timestamp & 0xFFFFFFFF, self.packets, self.octets & 0xFFFFFFFF
        )
        return rtcp.sender_report(report)
