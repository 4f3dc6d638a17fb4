"""What is forwarded: the codecs, feedback and header extensions we answer, and when two codecs are the same bits.

Packets are never decoded, so a publisher's codec reaches a receiver only if both described the same bits. `CodecKey`
is that identity; payload types are merely what each peer calls it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["publish", "slot"]


@dataclass(frozen=True, slots=True)
class CodecKey:
    """The identity under which two ends' payload types mean the same bits.

    `profile` is the part of the format parameters a decoder must agree on, empty where there is none, and starts
    with `?` where the parameters make no sense.
    """

    name: str
    clock_rate: int
    channels: int
    profile: str = ""


OPUS: Final = CodecKey("opus", 48000, 2)
VP8: Final = CodecKey("VP8", 90000, 1)

_CANONICAL_NAMES: Final = {name.lower(): name for name in ("opus", "VP8", "VP9", "H264", "AV1", "rtx", "red", "ulpfec")}

# RFC 6184 §8.1 table 5: profile_idc, and profile-iop as a mask and the value under it. First match wins.
_H264_PROFILES: Final = (
    (0x42, 0b0100_1111, 0b0100_0000, "constrained-baseline"),
    (0x4D, 0b1000_1111, 0b1000_0000, "constrained-baseline"),
    (0x58, 0b1100_1111, 0b1100_0000, "constrained-baseline"),
    (0x42, 0b0100_1111, 0b0000_0000, "baseline"),
    (0x58, 0b1100_1111, 0b1000_0000, "baseline"),
    (0x4D, 0b1010_1111, 0b0000_0000, "main"),
    (0x58, 0b1100_1111, 0b0000_0000, "extended"),
    (0x64, 0b1111_1111, 0b0000_0000, "high"),
    # Not in the table, but in ITU-T H.264 A.2.4.2 (constraint_set4 and 5), and what browsers call 640c.
    (0x64, 0b1111_1111, 0b0000_1100, "constrained-high"),
    # Chromium's high 4:4:4 predictive.
    (0xF4, 0b1111_1111, 0b0000_0000, "high-444"),
)


def canonical_name(name: str) -> str:
    """The usual spelling of a codec's name; names are case-insensitive (RFC 8866 §6.6)."""
    return _CANONICAL_NAMES.get(name.lower(), name)


def codec_key(name: str, clock_rate: int, channels: int, parameters: Mapping[str, str]) -> CodecKey:
    """The identity of a codec described by its rtpmap and its format parameters (keys in lower case)."""
    name = canonical_name(name)
    if name in ("opus", "VP8"):
        profile = ""  # their parameters are wishes about the encoder: every decoder takes all of it
    elif name == "VP9":
        profile = _small_number(parameters.get("profile-id", "0"))  # RFC 9628: absent means 0
    elif name == "AV1":
        profile = _small_number(parameters.get("profile", "0"))  # RTP payload format for AV1: absent means 0
    elif name == "H264":
        # Absent: "the value of packetization-mode MUST be inferred to be 0", and Baseline at level 1 (RFC 6184 §8.1).
        mode = _small_number(parameters.get("packetization-mode", "0"))
        profile = f"{mode}/{_h264_profile(parameters.get('profile-level-id', '42000a'))}"
    else:
        profile = ";".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return CodecKey(name, clock_rate, channels, profile)


def is_forwarded(key: CodecKey) -> bool:
    """Whether we forward this codec: it is one we know, in a form whose packets need no rewriting."""
    match key.name:
        case "opus":
            return key == OPUS
        case "VP8":
            return key == VP8
        case "VP9":
            return key.clock_rate == 90000 and key.profile in ("0", "2")
        case "AV1":
            return key.clock_rate == 90000 and key.profile == "0"
        case "H264":
            mode, _, profile = key.profile.partition("/")
            return key.clock_rate == 90000 and mode in ("0", "1") and not profile.startswith("?")
    return False


# Format parameters copied from offer to answer: those that must be equal on both sides, and H264's asymmetry, without
# which the level would have to be equal too.
_COPIED_PARAMETERS: Final = {
    "VP9": ("profile-id",),
    "AV1": ("profile", "level-idx", "tier"),
    "H264": ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
}
_SAFE_VALUE: Final = re.compile(r"[A-Za-z0-9.+-]{1,64}")


def answered_parameters(name: str, offered: Mapping[str, str]) -> dict[str, str]:
    """The format parameters of the answer, in the order they are written."""
    if name == "opus":
        answered = {"minptime": "10", "useinbandfec": "1"}
        if offered.get("usedtx") == "1":
            answered["usedtx"] = "1"
        return answered
    copied = {key: offered[key] for key in _COPIED_PARAMETERS.get(name, ()) if key in offered}
    return {key: value for key, value in copied.items() if _SAFE_VALUE.fullmatch(value)}


# Feedback (RFC 4585, RFC 5104, and Google's two for bandwidth estimation).
NACK: Final = "nack"
PLI: Final = "nack pli"
FIR: Final = "ccm fir"
TRANSPORT_CC: Final = "transport-cc"
REMB: Final = "goog-remb"

_FEEDBACK: Final[Mapping[tuple[str, Role], frozenset[str]]] = {
    ("audio", "publish"): frozenset({TRANSPORT_CC}),
    ("video", "publish"): frozenset({NACK, PLI, FIR, TRANSPORT_CC, REMB}),
    # What a receiver would report on its bandwidth nobody listens to yet, so it is not asked to.
    ("audio", "slot"): frozenset(),
    ("video", "slot"): frozenset({NACK, PLI, FIR}),
}


def answered_feedback(kind: str, role: Role, offered: frozenset[str], *, rtx: bool) -> frozenset[str]:
    """The feedback of the answer for one codec; `rtx` tells whether its retransmission format was offered.

    In a slot NACK is answered only with RTX. Retransmissions go by RTX alone: the nonce of an AEAD cipher is made of
    SSRC and packet number and must never serve twice under one key (RFC 7714), so a packet is never encrypted again
    under its first SSRC, and a NACK we could not serve is better not sent.
    """
    answered = offered & _FEEDBACK.get((kind, role), frozenset())
    return answered - {NACK} if role == "slot" and not rtx else answered


# Header extensions (RFC 8285).
MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VIDEO_ORIENTATION: Final = "urn:3gpp:video-orientation"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_WIDE_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

_EXTENSIONS: Final[Mapping[tuple[str, Role], tuple[str, ...]]] = {
    ("audio", "publish"): (MID, TRANSPORT_WIDE_CC, ABS_SEND_TIME, AUDIO_LEVEL),
    ("video", "publish"): (MID, TRANSPORT_WIDE_CC, ABS_SEND_TIME, VIDEO_ORIENTATION),
    # A slot's SSRCs are in the answer, so its packets need no mid.
    ("audio", "slot"): (AUDIO_LEVEL,),
    ("video", "slot"): (VIDEO_ORIENTATION,),
}


def answered_extensions(kind: str, role: Role, offered: Mapping[str, int]) -> dict[str, int]:
    """The header extensions of the answer, uri -> id, under the ids the offer gave them.

    What is left out stays out: in later offers Chromium offers for a section only what was answered before.
    """
    answered = {uri: offered[uri] for uri in _EXTENSIONS.get((kind, role), ()) if uri in offered}
    if role == "slot":  # headers are written in the one-byte form, which has the ids 1 to 14 (RFC 8285 §4.2)
        answered = {uri: identifier for uri, identifier in answered.items() if identifier <= 14}
    if TRANSPORT_WIDE_CC in answered:
        answered.pop(ABS_SEND_TIME, None)  # one clock for the bandwidth estimate is enough: 4 bytes less per packet
    return answered


def _small_number(text: str) -> str:
    return str(int(text)) if re.fullmatch(r"[0-9]{1,3}", text) else f"?{text}"


def _h264_profile(profile_level_id: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{6}", profile_level_id):
        return f"?{profile_level_id}"
    idc, iop = int(profile_level_id[:2], 16), int(profile_level_id[2:4], 16)
    for profile_idc, mask, value, name in _H264_PROFILES:
        if idc == profile_idc and iop & mask == value:
            return name
    return f"?{profile_level_id[:4].lower()}"
