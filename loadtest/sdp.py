"""The offer of a peer that only pretends to have codecs, and the parts of an answer that it needs (RFC 8829)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .stream import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC

Kind = Literal["audio", "video"]

OPUS, VP8, VP8_RTX = 111, 96, 97
_EXTENSIONS: Mapping[Kind, Mapping[str, int]] = {
    "audio": {MID: 1, TRANSPORT_WIDE_CC: 2, AUDIO_LEVEL: 3},
    "video": {MID: 1, TRANSPORT_WIDE_CC: 2},
}
_CODECS: Mapping[Kind, Sequence[str]] = {
    "audio": (f"a=rtpmap:{OPUS} opus/48000/2", f"a=rtcp-fb:{OPUS} transport-cc", f"a=fmtp:{OPUS} minptime=10"),
    "video": (
        f"a=rtpmap:{VP8} VP8/90000",
        *(f"a=rtcp-fb:{VP8} {feedback}" for feedback in ("ccm fir", "nack", "nack pli", "transport-cc")),
        f"a=rtpmap:{VP8_RTX} rtx/90000",
        f"a=fmtp:{VP8_RTX} apt={VP8}",
    ),
}
_FORMATS: Mapping[Kind, str] = {"audio": f"{OPUS}", "video": f"{VP8} {VP8_RTX}"}


class AnswerError(Exception):
    """The answer lacks something without which no media can flow."""


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """A section of our offer: `sendonly` if it has an SSRC, else `recvonly`."""

    mid: str
    kind: Kind
    ssrc: int | None = None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our side of the one transport."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: tuple[str, str]


def write_offer(sections: Sequence[OfferedSection], local: LocalTransport, *, session_id: int, version: int) -> str:
    """The text of an offer; sections are only ever appended from one version to the next."""
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        " ".join(["a=group:BUNDLE", *(section.mid for section in sections)]),
        "a=msid-semantic: WMS *",
    ]
    for section in sections:
        lines += [
            f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {_FORMATS[section.kind]}",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{local.ice_ufrag}",
            f"a=ice-pwd:{local.ice_pwd}",
            f"a=fingerprint:{local.fingerprint[0]} {local.fingerprint[1]}",
            "a=setup:actpass",
            f"a=mid:{section.mid}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            *(f"a=extmap:{identifier} {uri}" for uri, identifier in _EXTENSIONS[section.kind].items()),
            f"a={'recvonly' if section.ssrc is None else 'sendonly'}",
            *_CODECS[section.kind],
        ]
        if section.ssrc is not None:
            lines.append(f"a=msid:load load-{section.mid}")
            if section.rtx_ssrc is not None:
                lines.append(f"a=ssrc-group:FID {section.ssrc} {section.rtx_ssrc}")
            lines += [f"a=ssrc:{ssrc} cname:load" for ssrc in (section.ssrc, section.rtx_ssrc) if ssrc is not None]
    return "".join(f"{line}\r\n" for line in lines)


@dataclass(frozen=True, slots=True)
class AnsweredSection:
    """An accepted section. `payload_type` is that of the first codec, `ssrc` that of a slot."""

    mid: str
    kind: Kind
    direction: str
    payload_type: int
    rtx_payload_type: int | None
    extensions: Mapping[str, int] = field(default_factory=dict)
    ssrc: int | None = None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's side of the transport, and what it accepted, by mid."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    candidates: tuple[tuple[str, int], ...]
    """(address, port) over UDP, best first."""
    sections: Mapping[str, AnsweredSection]
    tcp_candidates: tuple[tuple[str, int], ...] = ()
    """Where one may connect by TCP, likewise."""


def read_answer(text: str) -> Answer:
    """Read the server's answer. Raises AnswerError, and nothing else."""
    try:
        media = text.replace("\r\n", "\n").split("\nm=")[1:]
        # RFC 8839 section 5.4: 4 or more of these characters name, 22 or more protect.
        ufrag = re.search(r"^a=ice-ufrag:([A-Za-z0-9+/]{4,256})\r?$", text, re.MULTILINE)
        pwd = re.search(r"^a=ice-pwd:([A-Za-z0-9+/]{22,256})\r?$", text, re.MULTILINE)
        if ufrag is None or pwd is None:
            raise AnswerError("the answer has no ICE credentials")
        fingerprints = re.findall(r"^a=fingerprint:(\S+) (\S+)", text, re.MULTILINE)
        if not fingerprints:
            raise AnswerError("the answer has no fingerprint")
        sections = [section for block in media if (section := _section(block)) is not None]
        return Answer(
            ufrag[1],
            pwd[1],
            tuple(dict.fromkeys(fingerprints)),
            _candidates(text, "udp"),
            {section.mid: section for section in sections},
            _candidates(text, "tcp"),
        )
    except (ValueError, IndexError) as error:
        raise AnswerError(f"the answer cannot be read: {error}") from None


def _candidates(text: str, transport: Literal["udp", "tcp"]) -> tuple[tuple[str, int], ...]:
    # RFC 6544 section 4.5: to an active candidate one cannot connect.
    passive = r" .*\btcptype passive\b" if transport == "tcp" else ""
    line = rf"^a=candidate:\S+ 1 {transport} (\d+) (\S+) (\d+) typ{passive}"
    found = re.findall(line, text, re.MULTILINE | re.IGNORECASE)
    ordered = sorted(found, key=lambda candidate: -_number(candidate[0], 0xFFFFFFFF))
    return tuple(
        dict.fromkeys((address, _number(port, 0xFFFF)) for _, address, port in ordered if _is_address(address))
    )


def _is_address(text: str) -> bool:
    """Whether it is one that needs no look-up; a name is passed over, as by a browser that cannot resolve it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _number(text: str, most: int) -> int:
    """The decimal number `text`. Raises ValueError if it is none, or above `most`."""
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > most:
        raise ValueError(f"{text[:20]!r} is not a number up to {most}")
    return int(text)


def _section(block: str) -> AnsweredSection | None:
    lines = block.split("\n")
    kind, port, _, *formats = lines[0].split(" ")
    if port == "0":
        return None
    if kind not in _CODECS:
        raise ValueError(f"a section of {kind[:20]!r} is accepted")
    attributes: dict[str, list[str]] = {}
    for line in lines[1:]:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            attributes.setdefault(name, []).append(value)
    rtx = [value.split(" ")[0] for value in attributes.get("rtpmap", []) if " rtx/" in value]
    fid = [value.split(" ")[1:] for value in attributes.get("ssrc-group", []) if value.startswith("FID ")]
    ssrcs = [value.split(" ")[0] for value in attributes.get("ssrc", [])]
    extensions = (value.split(" ")[:2] for value in attributes.get("extmap", []))
    directions = [name for name in ("sendrecv", "sendonly", "recvonly", "inactive") if name in attributes]
    return AnsweredSection(
        mid=attributes.get("mid", [""])[0],
        kind="video" if kind == "video" else "audio",
        direction=directions[0] if directions else "sendrecv",
        payload_type=_number(formats[0], 127),
        rtx_payload_type=_number(rtx[0], 127) if rtx else None,
        extensions={uri: _number(identifier.partition("/")[0], 255) for identifier, uri in extensions},
        ssrc=_number((fid[0] if fid else ssrcs)[0], 0xFFFFFFFF) if fid or ssrcs else None,
        rtx_ssrc=_number(fid[0][1], 0xFFFFFFFF) if fid else None,
    )
