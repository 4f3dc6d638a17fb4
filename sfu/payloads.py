"""Payload descriptors, read just far enough to know where a keyframe begins."""

from __future__ import annotations

from collections.abc import Callable


def starts_keyframe(codec: str) -> Callable[[bytes], bool]:
    """The test for the first packet of a keyframe of `codec` (its SDP name). Audio always may start."""
    return _TESTS.get(codec.upper(), _always)


def _always(_payload: bytes) -> bool:
    return True


def _vp8(payload: bytes) -> bool:
    """RFC 7741 section 4.2: S=1 and partition 0 begin a frame; section 4.3: P=0 says that it is a key frame."""
    # The bit between S and the partition index is reserved and "MUST be ignored by the receiver".
    if not payload or payload[0] & 0x17 != 0x10:
        return False
    at = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            return False
        flags, at = payload[1], 2
        if flags & 0x80:  # I: a picture id of one or two bytes
            if len(payload) <= at:
                return False
            at += 2 if payload[at] & 0x80 else 1
        if flags & 0x40:  # L: TL0PICIDX
            at += 1
        if flags & 0x30:  # T or K: TID and KEYIDX share a byte
            at += 1
    return len(payload) > at and not payload[at] & 0x01


def _vp9(payload: bytes) -> bool:
    """RFC 9628 section 4.2: B=1 begins a frame, P=0 says that it depends on no other; spatial layer 0 comes first."""
    if not payload or payload[0] & 0x48 != 0x08:
        return False
    at = 1
    if payload[0] & 0x80:
        if len(payload) <= at:
            return False
        at += 2 if payload[at] & 0x80 else 1
    if payload[0] & 0x20:  # L: layer indices; SID in bits 3..1
        return len(payload) > at and not payload[at] & 0x0E
    return True


def _h264(payload: bytes) -> bool:
    """RFC 6184 section 5.4: a sequence parameter set (7), alone or in a STAP-A.

    Browsers send one before each IDR picture. The slice itself is no start: a decoder without the parameters cannot
    use it, and a picture may have several.
    """
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == 24:
        at = 1
        while at + 2 < len(payload):
            if payload[at + 2] & 0x1F == 7:
                return True
            at += 2 + (payload[at] << 8 | payload[at + 1])
        return False
    return kind == 7


def _av1(payload: bytes) -> bool:
    """AV1 RTP payload format section 4.4: N=1 marks the first packet of a coded video sequence."""
    return bool(payload) and bool(payload[0] & 0x08)


_TESTS = {"VP8": _vp8, "VP9": _vp9, "H264": _h264, "AV1": _av1}
