"""One receive slot as an RTP stream: whatever tracks pass through it, a packet number is never used twice.

Under AES-GCM the packet number is the nonce, and "the GCM mode is ... insecure if the same nonce is used twice" (RFC
7714 section 8.3 says it at length). So numbers come from one counter that only goes forward for the life of the
DTLS association; a number that was passed over may be used once, later, by the packet it was kept for; and what is
sent again goes out under the RTX SSRC with a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .codecs import CodecKey
from .pacer import Pacer
from .packet_ring import PacketRing, Stored
from .rtp import pack_extensions, pack_fixed_header
from .sequence import extend
from .srtp import Session, SrtpError

# RFC 3711 section 3.3.1: a receiver guesses the roll-over counter, so the first number stays away from the wrap.
FIRST_NUMBER_BELOW = 1 << 15
# More would allow for later packets, fewer bound the memory of a stream that loses everything.
_MAX_SKIPPED = 512
# Late packets of about one round trip on a bad network.
_MAX_REPAIRED = 64
# A receiver that asks again sooner than its round trip asks for what is on its way.
_MIN_RESEND_INTERVAL = 0.030
# Resends per second and stream, and how many of them at once. Above it a receiver is broken or hostile.
_RESEND_RATE = 300.0
_RESEND_BURST = 150.0
# Seconds of the track: a picture that old would only be shown to be behind from then on.
_PAST = 1.0
# One datagram can ask for six thousand packets: looking for those that are not there, or not due, costs a little too.
_LOOKUP_COST = 1 / 16


class TravellingTrack(Protocol):
    """The track that travels in a stream, as far as the stream and its receiver have to do with it."""

    ring: PacketRing
    clock_rate: int
    last_timestamp: int
    sync: tuple[float, int] | None

    def want_keyframe(self, now: float) -> None:
        """The receiver needs a keyframe."""

    def detach(self, stream: OutboundStream, now: float) -> None:
        """Send to `stream` no more."""


class PayloadTypes(NamedTuple):
    """What one receiver calls a codec: its payload type, and those of its retransmissions and its redundancy."""

    media: int
    rtx: int | None
    red: int | None = None


class HeaderExtensions:
    """The header extension ids of one receiver's section, 0 for those it did not negotiate."""

    def __init__(self, level: int, orientation: int) -> None:
        self.ids = (level, orientation)
        self._blocks: dict[tuple[int, int], bytes] = {}

    def block(self, level: int, orientation: int) -> bytes:
        """The extension part of a header for an audio level byte and an orientation byte, each -1 if absent.

        There are at most 257 x 257 such blocks, and in practice a hundred, so that they are kept.
        """
        found = self._blocks.get((level, orientation))
        if found is None:
            values = zip(self.ids, (level, orientation), strict=True)
            found = pack_extensions((key, bytes([value])) for key, value in values if key and value >= 0)
            self._blocks[level, orientation] = found
        return found


@dataclass(frozen=True, slots=True)
class Segment:
    """The stretch of a stream's numbers that one track filled: the way back from a NACK to the source's packet."""

    first: int
    ring: PacketRing  # the track's at that time; a source that begins anew gets another one
    number_offset: int
    timestamp_offset: int
    payload_types: PayloadTypes


class OutboundStream:
    """The RTP stream of one slot of one receiver. `queue` and `dirty` are those of the receiver's transport."""

    __slots__ = (
        "_repaired",
        "_replays",
        "_resend_tokens",
        "_resend_tokens_at",
        "_resent",
        "_rtx_number",
        "_segments",
        "_skipped",
        "_stopped_at",
        "_timestamp",
        "codecs",
        "extensions",
        "iv_base",
        "mark_dirty",
        "next_number",
        "number",
        "number_offset",
        "octets",
        "outrun",
        "packets",
        "protect",
        "queue",
        "ready_at",
        "round_trip",
        "rtx_iv_base",
        "rtx_ssrc",
        "seal",
        "ssrc",
        "timestamp_offset",
        "track",
    )

    def __init__(self, ssrc: int, rtx_ssrc: int, first_number: int, first_rtx_number: int) -> None:
        self.number = 0  # among the slots of its kind
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.codecs: Mapping[CodecKey, PayloadTypes] = {}
        self.extensions = HeaderExtensions(0, 0)
        self.track: TravellingTrack | None = None
        self.next_number = first_number
        self._rtx_number = first_rtx_number
        self._skipped: set[int] = set()
        self._repaired: dict[int, None] = {}
        self._segments: list[Segment] = []
        self._replays: Pacer[tuple[int, int, Segment, Stored]] = Pacer()
        self.number_offset = 0
        self.timestamp_offset = 0
        self._timestamp: int | None = None
        self._stopped_at = 0.0
        self._resent: dict[int, float] = {}
        self._resend_tokens = _RESEND_BURST
        self._resend_tokens_at = 0.0
        self.ready_at = 0.0  # when the receiver has surely applied the answer that tells of this stream
        self.outrun = False
        self.packets = 0
        self.octets = 0
        self.round_trip = 0.1  # seconds; a guess until the first report
        self.queue: list[bytes] = []
        self.mark_dirty: Callable[[], None] = _not_connected
        self.seal: Callable[[bytes, bytes, bytes], bytes] | None = None
        self.protect: Callable[[bytes], bytes] = bytes
        self.iv_base = 0
        self.rtx_iv_base = 0

    def connect(self, srtp: Session, queue: list[bytes], mark_dirty: Callable[[], None]) -> None:
        """Give the stream the keys of the association and the outgoing queue of its transport."""
        self.seal = srtp.seal
        self.protect = srtp.protect_rtp
        self.iv_base = srtp.iv_base(self.ssrc)
        self.rtx_iv_base = srtp.iv_base(self.rtx_ssrc)
        self.queue = queue
        self.mark_dirty = mark_dirty

    # ------------------------------------------------------------------------------------------- numbers

    def start(
        self, track: TravellingTrack, number: int, timestamp: int, payload_types: PayloadTypes, now: float
    ) -> None:
        """The next packet is `track`'s packet `number`: continue our numbers and timestamps from the last track's."""
        self.number_offset = self.next_number - number
        if self._timestamp is None:
            self.timestamp_offset = 0
        else:
            elapsed = max(1, round((now - self._stopped_at) * track.clock_rate))
            self.timestamp_offset = (self._timestamp + elapsed - timestamp) & 0xFFFFFFFF
        self.measure(now)
        # What the last track left out is not this one's to fill in.
        self._skipped.clear()
        self._repaired.clear()
        segment = Segment(self.next_number, track.ring, self.number_offset, self.timestamp_offset, payload_types)
        self._segments = [*self._segments[-2:], segment]

    def stop(self, last_timestamp: int, last_at: float) -> None:
        """The track was taken out of the slot; its newest packet had `last_timestamp` (its own count) at `last_at`."""
        self._timestamp = (last_timestamp + self.timestamp_offset) & 0xFFFFFFFF
        self._stopped_at = last_at

    def claim(self, number: int) -> bool:
        """Take a number that is not the next one. False if it was used, or was never this track's to use."""
        ahead = number - self.next_number
        if ahead < 0:
            if number not in self._skipped:
                return False
            self._skipped.remove(number)
            # The receiver has most likely asked for it by now; what it asked for is on its way with this.
            self._repaired[number] = None
            if len(self._repaired) > _MAX_REPAIRED:
                del self._repaired[next(iter(self._repaired))]
            return True
        self._skipped.update(range(max(self.next_number, number - _MAX_SKIPPED), number))
        if len(self._skipped) > _MAX_SKIPPED:
            self._skipped = set(sorted(self._skipped)[-_MAX_SKIPPED:])
        self.next_number = number + 1
        return True

    # ------------------------------------------------------------------------------------------- resending

    def resend(self, sequences: Sequence[int], now: float) -> tuple[int, int]:
        """Answer a NACK for our 16-bit numbers by RTX, now or by `replay`.

        Returns how many were sent at once and how many were refused by limits. `outrun` tells afterwards whether the
        receiver asked for what is long past, and needs a keyframe instead.
        """
        self.outrun = False
        self.measure(now)
        self._resend_tokens += (now - self._resend_tokens_at) * _RESEND_RATE
        self._resend_tokens = min(self._resend_tokens, _RESEND_BURST)
        self._resend_tokens_at = now
        if len(self._resent) > 2 * _MAX_SKIPPED:
            self._resent = {number: at for number, at in self._resent.items() if now - at < 1}
        refused = 0
        wait = max(_MIN_RESEND_INTERVAL, self.round_trip * 0.8)
        for looked_at, sequence in enumerate(sequences):
            if self._resend_tokens < 1:
                refused += len(sequences) - looked_at
                break
            number = extend(sequence, self.next_number)
            found = self._find(number)
            rtx = found[0].payload_types.rtx if found else None
            if found is None or rtx is None:
                self._resend_tokens -= _LOOKUP_COST
                continue
            if number in self._repaired:
                del self._repaired[number]
                continue
            if self._is_past(*found):
                self._resend_tokens -= _LOOKUP_COST
                self.outrun = True
                refused += 1
                continue
            if now - self._resent.get(number, float("-inf")) < wait:
                self._resend_tokens -= _LOOKUP_COST
                refused += 1
                continue
            self._resend_tokens -= 1
            if self._replays.put((rtx, number, *found), len(found[1].payload)):
                self._resent[number] = now
            else:
                refused += 1
        return self.replay(now), refused

    def measure(self, now: float) -> None:
        """Note how much was sent by now; replays keep to a share of it. For every second or so."""
        self._replays.measure(self.octets, now)

    def replay(self, now: float) -> int:
        """Send the replays whose turn it is. Returns how many were sent."""
        return sum(self._send_rtx(*replay) for replay in self._replays.take(now))

    @property
    def replaying(self) -> bool:
        """Whether replays wait for their turn."""
        return len(self._replays) > 0

    def _is_past(self, segment: Segment, stored: Stored) -> bool:
        track = self.track
        if track is None or segment.ring is not track.ring:
            return False
        age = (track.last_timestamp - stored.timestamp) & 0xFFFFFFFF
        return _PAST * track.clock_rate < age < 1 << 31

    def _find(self, number: int) -> tuple[Segment, Stored] | None:
        if number >= self.next_number:
            return None
        for segment in reversed(self._segments):
            if number >= segment.first:
                stored = segment.ring.get(number - segment.number_offset)
                return (segment, stored) if stored else None
        return None

    def _send_rtx(self, payload_type: int, number: int, segment: Segment, stored: Stored) -> bool:
        """RFC 4588 section 4: the original sequence number, then the original payload, in a stream of its own."""
        extensions = self.extensions.block(stored.level, stored.orientation)
        rtx_number = self._rtx_number
        self._rtx_number += 1
        header = (
            pack_fixed_header(
                0x90 if extensions else 0x80,
                stored.marker | payload_type,
                rtx_number & 0xFFFF,
                (stored.timestamp + segment.timestamp_offset) & 0xFFFFFFFF,
                self.rtx_ssrc,
            )
            + extensions
        )
        payload = (number & 0xFFFF).to_bytes(2, "big") + stored.payload[stored.primary_at :]
        if self.seal is not None:
            datagram = header + self.seal((self.rtx_iv_base ^ rtx_number).to_bytes(12, "big"), payload, header)
        else:
            try:
                datagram = self.protect(header + payload)
            except SrtpError:  # larger than libsrtp takes
                return False
        if not self.queue:
            self.mark_dirty()
        self.queue.append(datagram)
        return True


def _not_connected() -> None:
    raise RuntimeError("a stream was used before its transport had keys")
