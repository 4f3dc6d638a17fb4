"""Small parts of a call for tests of the forwarder: sources that number their packets, and receivers with real keys."""

from __future__ import annotations

from collections.abc import Mapping

from sfu import rtp
from sfu.codecs import OPUS, VP8, CodecKey
from sfu.inbound import InboundTrack
from sfu.outbound import HeaderExtensions, OutboundStream, PayloadTypes
from sfu.rtp import Packet
from sfu.srtp import Keys, Session

GCM, CM = "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"
VP9 = CodecKey("VP9", 90000, 1, "0")

# RFC 7741: a descriptor without extensions (S=1), then a payload header with P=0 for a key frame.
KEY, DELTA = b"\x10\x00", b"\x10\x01"


def video(sequence: int, *, key: bool = False, timestamp: int | None = None, body: bytes = b"") -> Packet:
    """A VP8 packet; unless told otherwise each is a frame of its own, 1/30 s after the one before."""
    stamp = 3000 * sequence if timestamp is None else timestamp
    return Packet(0x80, 96, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 1, {}, (KEY if key else DELTA) + body)


def audio(sequence: int, body: bytes = b"opus") -> Packet:
    """An Opus packet of 20 ms."""
    return Packet(0, 111, sequence & 0xFFFF, 960 * sequence & 0xFFFFFFFF, 1, {}, body)


def track_of(kind: str = "video", codec: CodecKey | None = None) -> InboundTrack:
    """A track that counts how often its source was asked for a keyframe in `asked`."""
    track = InboundTrack(kind)
    track.set_codec(codec or (VP8 if kind == "video" else OPUS), 0.0)
    return track


class Receiver:
    """A slot and the client at its other end, who decrypts with libsrtp what the slot's queue holds."""

    def __init__(
        self,
        ssrc: int = 1000,
        *,
        profile: str = GCM,
        first: int = 100,
        codecs: Mapping[CodecKey, PayloadTypes] | None = None,
        level: int = 0,
        orientation: int = 0,
    ) -> None:
        size = 28 if profile == GCM else 30
        ours, theirs = bytes(range(size)), bytes(range(100, 100 + size))
        self.queue: list[bytes] = []
        self.dirty = 0
        self.stream = OutboundStream(ssrc, ssrc + 1, first, 7)
        self.stream.codecs = codecs or {VP8: PayloadTypes(96, 97), OPUS: PayloadTypes(111, None)}
        self.stream.extensions = HeaderExtensions(level, orientation)
        self.stream.connect(Session(Keys(profile, ours, theirs)), self.queue, self._mark)
        self._session = Session(Keys(profile, theirs, ours))

    def _mark(self) -> None:
        self.dirty += 1

    def datagrams(self) -> list[bytes]:
        """What would be sent now."""
        queued = list(self.queue)
        self.queue.clear()
        return queued

    def packets(self) -> list[Packet]:
        """What arrives. Raises SrtpError for what does not decrypt."""
        return [rtp.parse(self._session.unprotect_rtp(datagram)) for datagram in self.datagrams()]
