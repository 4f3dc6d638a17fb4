"""A synthetic camera and a synthetic microphone: payloads as encoders would make them, at the times they would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .tags import TAG_BYTES, tag

VIDEO_CLOCK = 90_000  # Hz
AUDIO_CLOCK = 48_000  # Hz
AUDIO_INTERVAL = 0.020  # seconds

# A larger payload makes fewer packets; with headers, SRTP and UDP this still fits into 1280 bytes of IPv6.
MAX_PAYLOAD_BYTES = 1200
# How large a keyframe is beside an average frame. Real ones vary more; the load does not.
_KEYFRAME_FACTOR = 3
# After a stall of more than this many seconds the missed packets are left out, as a real device would drop them.
_MAX_LATENESS = 0.5

_DESCRIPTOR_BYTES = 4
_KEYFRAME_HEADER_BYTES = 10
_SMALLEST_BYTES = _DESCRIPTOR_BYTES + _KEYFRAME_HEADER_BYTES + TAG_BYTES
_FILLER = bytes(range(256)) * 6


class Payload(NamedTuple):
    """One packet before it gets a header. `marker` is 0x80 or 0, `level` an audio level element or b""."""

    payload: bytes
    timestamp: int
    marker: int
    level: bytes = b""


class Camera:
    """VP8 frames at a fixed rate. Bitrate in bits per second, times in seconds; `start` staggers many cameras."""

    kind = "video"
    clock_rate = VIDEO_CLOCK

    def __init__(
        self,
        track: int,
        *,
        bits_per_second: float,
        frames_per_second: float,
        start: float,
        payload_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        if not 2 * _SMALLEST_BYTES <= payload_bytes <= MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload may have {2 * _SMALLEST_BYTES} to {MAX_PAYLOAD_BYTES} bytes")
        self.track = track
        self.sent = 0  # packets, which is also the next counter
        self.keyframes = 0
        self._interval = 1 / frames_per_second
        self._frame_bytes = max(_SMALLEST_BYTES, round(bits_per_second / 8 / frames_per_second))
        self._payload_bytes = payload_bytes
        self._start = start
        self._next = start
        self._picture = track & 0x7FFF
        self._keyframe_wanted = True

    def request_keyframe(self) -> None:
        """The next frame becomes a keyframe."""
        self._keyframe_wanted = True

    def due(self, now: float) -> Iterator[Payload]:
        """The packets of all frames that should have been captured by `now`."""
        if now - self._next > _MAX_LATENESS:
            self._next = now
        while self._next <= now:
            yield from self._frame(round((self._next - self._start) * VIDEO_CLOCK) & 0xFFFFFFFF)
            self._next += self._interval

    def _frame(self, timestamp: int) -> Iterator[Payload]:
        keyframe, self._keyframe_wanted = self._keyframe_wanted, False
        self.keyframes += keyframe
        left = self._frame_bytes * (_KEYFRAME_FACTOR if keyframe else 1)
        # RFC 7741 section 4.2: X, then I with a 15-bit PictureID; S=1 in the first packet of the (only) partition.
        picture = bytes((0x80, 0x80 | self._picture >> 8, self._picture & 0xFF))
        self._picture = (self._picture + 1) & 0x7FFF
        head = b"\x90" + picture + _frame_header(keyframe, left)
        while left > 0:
            size = min(left, self._payload_bytes)
            if 0 < left - size < _SMALLEST_BYTES:
                size -= _SMALLEST_BYTES  # leave the last packet room for its descriptor and tag
            left -= size
            body = head + _FILLER[: max(0, size - len(head) - TAG_BYTES)] + tag(self.track, self.sent)
            self.sent += 1
            yield Payload(body, timestamp, 0 if left > 0 else 0x80)
            head = b"\x80" + picture


def _frame_header(keyframe: bool, size: int) -> bytes:
    """The head of a VP8 frame (RFC 6386 section 9.1): bit 0 is zero in a keyframe, bit 4 says that it is shown."""
    first = min(size, 0x7FFFF) << 5 | 0x10 | (0 if keyframe else 1)
    if not keyframe:
        return first.to_bytes(3, "little")
    width, height = 640, 360
    return first.to_bytes(3, "little") + b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")


class Microphone:
    """Opus packets of 20 ms. Bitrate in bits per second, times in seconds."""

    kind = "audio"
    clock_rate = AUDIO_CLOCK

    def __init__(self, track: int, *, bits_per_second: float, start: float, level: int = 20) -> None:
        self.track = track
        self.sent = 0  # packets, which is also the next counter
        self.keyframes = 0
        self.level = level
        """How far below full scale the voice is, in dB (0 to 127)."""
        self._bytes = max(1 + TAG_BYTES, round(bits_per_second / 8 * AUDIO_INTERVAL))
        self._next = start
        self._timestamp = 0

    def request_keyframe(self) -> None:
        """Audio has none; the method is there so that sources can be treated alike."""

    def due(self, now: float) -> Iterator[Payload]:
        """The packets that should have been captured by `now`."""
        if now - self._next > _MAX_LATENESS:
            skipped = int((now - self._next) / AUDIO_INTERVAL)
            self._next += skipped * AUDIO_INTERVAL
            self._timestamp += skipped * int(AUDIO_CLOCK * AUDIO_INTERVAL)
        while self._next <= now:
            # RFC 6716 section 3.1: configuration 31 (CELT, fullband, 20 ms), mono, one frame.
            body = b"\xf8" + _FILLER[: self._bytes - 1 - TAG_BYTES] + tag(self.track, self.sent)
            # RFC 6464 section 3: V=1 for voice, then the level in -dBov.
            yield Payload(
                body, self._timestamp & 0xFFFFFFFF, 0x80 if self.sent == 0 else 0, bytes((0x80 | self.level,))
            )
            self.sent += 1
            self._timestamp += int(AUDIO_CLOCK * AUDIO_INTERVAL)
            self._next += AUDIO_INTERVAL


Source = Camera | Microphone
