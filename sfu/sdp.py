"""An SDP offer as plain values: `parse_offer` reads what a browser offers (RFC 8866, RFC 8829), strictly and bounded.

Only what an answer or the media path needs is kept. Sections (one per `m=` line) are known by their mid, because an
index may be used again for another mid and another kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from .codecs import MID, CodecKey, canonical_name, codec_key

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["actpass", "active"]
ErrorCode = Literal["offer_invalid", "offer_too_large", "too_many_sections", "fingerprint_missing"]

MAX_CHARACTERS: Final = 256 * 1024
MAX_SECTIONS: Final = 256
MAX_LINE_CHARACTERS: Final = 4096
MAX_PER_SECTION: Final = 128  # formats, header extensions, SSRCs, rids: of each at most so many
MAX_FINGERPRINTS: Final = 16


class SdpError(Exception):
    """The offer cannot be used; `code` is stable and machine-readable, the message is for a person."""

    def __init__(self, message: str, code: ErrorCode = "offer_invalid") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Codec:
    """One offered codec, with the payload type of its retransmissions folded in."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Format parameters, keys in lower case; a parameter without `=` has the value ''."""
    feedback: frozenset[str] = frozenset()
    """Such as `"nack"`, `"nack pli"`, `"ccm fir"`."""
    rtx_payload_type: int | None = None

    @property
    def key(self) -> CodecKey:
        """The identity under which another peer's codec means the same bits."""
        return codec_key(self.name, self.clock_rate, self.channels, self.parameters)


@dataclass(frozen=True, slots=True)
class Ssrc:
    """A stream announced in the offer, with the SSRC of its retransmissions (RFC 5576 FID) if it has one."""

    primary: int
    rtx: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One `m=` section. Of a rejected one only index, mid, kind, protocol and formats are read."""

    index: int
    mid: str
    kind: str
    protocol: str
    formats: tuple[str, ...]
    direction: Direction
    rejected: bool
    bundled: bool = False
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    extmap_allow_mixed: bool = False
    codecs: tuple[Codec, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    ssrcs: tuple[Ssrc, ...] = ()
    rids: tuple[str, ...] = ()
    msid: tuple[str, str] | None = None
    """(stream id, track id)"""

    @property
    def is_media(self) -> bool:
        """Whether audio or video can travel here: it is offered, on the one transport, in a form we speak."""
        return (
            self.kind in ("audio", "video")
            and self.protocol in ("UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF")  # RFC 8829 §5.1.2: both mean the same
            and not self.rejected
            and self.bundled
            and self.rtcp_mux
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole offer: the one transport that its bundled sections share, and the sections in order."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    """(hash algorithm in lower case, fingerprint in upper case), only of hashes that are safe today."""
    setup: Setup
    sections: tuple[Section, ...]
    bundle: tuple[str, ...]
    extmap_allow_mixed: bool = False
    """Offered for the whole session, not only in sections."""


def parse_offer(text: str, *, max_characters: int = MAX_CHARACTERS, max_sections: int = MAX_SECTIONS) -> Offer:
    """Read an SDP offer.

    Raises SdpError, and nothing else, if it is no SDP, exceeds a bound, contradicts itself, or has no usable transport.
    """
    if len(text) > max_characters:
        raise SdpError(f"longer than {max_characters} characters", "offer_too_large")
    session, *media = _blocks(text, max_sections)
    bundle = _bundle(session)
    sections = tuple(_section(block, index, session, bundle) for index, block in enumerate(media))
    mids = [section.mid for section in sections if section.mid]
    if len(mids) != len(set(mids)):
        raise SdpError("two sections have the same mid")
    if not set(bundle) <= set(mids):
        raise SdpError("the bundle names a mid that no section has")
    live = [(section, block) for section, block in zip(sections, media, strict=True) if not section.rejected]
    _refuse_shared_ssrcs(section for section, _ in live)
    bundled = [(section, block) for section, block in live if section.bundled]
    if not bundled:
        raise SdpError("no usable transport: no section is both offered and bundled")
    if len({section.extensions[MID] for section, _ in bundled if MID in section.extensions}) > 1:
        raise SdpError("bundled sections disagree about the id of the mid header extension")
    blocks = [session, *(block for _, block in bundled)]
    return Offer(
        ice_ufrag=_agreed(blocks, "ice-ufrag", _ICE_UFRAG),
        ice_pwd=_agreed(blocks, "ice-pwd", _ICE_PWD),
        fingerprints=_agreed_fingerprints(blocks),
        setup=_agreed_setup(blocks),
        sections=sections,
        bundle=bundle,
        extmap_allow_mixed="extmap-allow-mixed" in session.attributes,
    )


# Lines and blocks


@dataclass(slots=True)
class _Block:
    """The session part (`media` is empty) or one section: attribute name -> its values in order."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of an attribute that may be given once. Raises SdpError if two values differ."""
        values = self.attributes.get(name)
        if values is None:
            return None
        if any(value != values[0] for value in values):
            raise SdpError(f"a={name} is given twice")
        return values[0]


_LINE: Final = re.compile(r"([a-z])=([^\x00-\x08\x0a-\x1f\x7f]*)")
_TOKEN: Final = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}")  # RFC 8866 §9
_MID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")  # what our own messages can carry
_PROTOCOL: Final = re.compile(r"[A-Za-z0-9/]{1,64}")
_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839 §5.4
_ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")


def _blocks(text: str, max_sections: int) -> list[_Block]:
    lines = text.split("\n")
    if lines[0].removesuffix("\r") != "v=0":
        raise SdpError("the first line is not v=0")
    blocks = [_Block()]
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        if not line and number == len(lines):
            break
        if len(line) > MAX_LINE_CHARACTERS:
            raise SdpError(f"line {number} is too long")
        match = _LINE.fullmatch(line)
        if match is None:
            raise SdpError(f"line {number} is not of the form letter=value")
        letter, value = match.groups()
        if letter == "m":
            if len(blocks) > max_sections:
                raise SdpError(f"more than {max_sections} sections", "too_many_sections")
            blocks.append(_Block(value))
        elif letter == "a":
            name, _, rest = value.partition(":")
            blocks[-1].attributes.setdefault(name, []).append(rest)
    return blocks


def _number(text: str, low: int, high: int, what: str) -> int:
    # Not int() alone: that takes signs, blanks, underscores and the digits of every script.
    if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise SdpError(f"{what} is not a number from {low} to {high}")
    return int(text)


# The transport that the bundled sections share


def _bundle(session: _Block) -> tuple[str, ...]:
    groups = [
        mids for semantics, *mids in (value.split() or [""] for value in session.all("group")) if semantics == "BUNDLE"
    ]
    if len(groups) > 1:
        raise SdpError("more than one bundle")
    bundle = tuple(groups[0]) if groups else ()
    if len(bundle) != len(set(bundle)):
        raise SdpError("the bundle names a mid twice")
    return bundle


def _agreed(blocks: list[_Block], name: str, form: re.Pattern[str]) -> str:
    """The value of a transport attribute: of the session or of any bundled section, but nowhere another one."""
    values = {value for block in blocks if (value := block.one(name)) is not None}
    if len(values) != 1:
        raise SdpError(f"bundled sections disagree about {name}" if values else f"{name} is missing")
    value = values.pop()
    if not form.fullmatch(value):
        raise SdpError(f"{name} is malformed")
    return value


_DIGEST_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


def _agreed_fingerprints(blocks: list[_Block]) -> tuple[tuple[str, str], ...]:
    agreed: tuple[tuple[str, str], ...] | None = None
    for block in blocks:
        given = block.all("fingerprint")
        if not given:
            continue
        if len(given) > MAX_FINGERPRINTS:
            raise SdpError("too many fingerprints")
        fingerprints = tuple(dict.fromkeys(_fingerprint(value) for value in given))
        if agreed is not None and set(fingerprints) != set(agreed):
            raise SdpError("bundled sections disagree about the fingerprint")
        agreed = agreed or fingerprints
    # Weak hashes are left out rather than refused: RFC 8122 §5.1 lets a client offer several.
    safe = tuple((algorithm, value) for algorithm, value in agreed or () if algorithm in _DIGEST_BYTES)
    if not safe:
        raise SdpError("no fingerprint of SHA-256 or better", "fingerprint_missing")
    return safe


def _fingerprint(value: str) -> tuple[str, str]:
    algorithm, _, digest = value.partition(" ")
    algorithm, digest = algorithm.lower(), digest.strip().upper()
    if not _TOKEN.fullmatch(algorithm) or not re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){0,63}", digest):
        raise SdpError("malformed fingerprint")
    if (len(digest) + 1) // 3 != _DIGEST_BYTES.get(algorithm, (len(digest) + 1) // 3):
        raise SdpError(f"a fingerprint of the wrong length for {algorithm}")
    return algorithm, digest


def _agreed_setup(blocks: list[_Block]) -> Setup:
    values = {value for block in blocks if (value := block.one("setup")) is not None}
    if not values:
        return (
            "active"  # RFC 4145 §4: "The default value of the setup attribute in an offer/answer exchange is 'active'"
        )
    if len(values) > 1:
        raise SdpError("bundled sections disagree about setup")
    setup = values.pop()
    if setup not in ("actpass", "active"):
        raise SdpError("setup leaves us no passive part")
    return cast(Setup, setup)


# One section


def _section(block: _Block, index: int, session: _Block, bundle: tuple[str, ...]) -> Section:
    kind, port_text, protocol, *formats = block.media.split(" ") if block.media.count(" ") >= 3 else ("", "", "")
    if not _TOKEN.fullmatch(kind) or not _PROTOCOL.fullmatch(protocol):
        raise SdpError(f"section {index}: malformed m= line")
    if len(formats) > MAX_PER_SECTION or not all(_TOKEN.fullmatch(format_) for format_ in formats):
        raise SdpError(f"section {index}: malformed formats")
    port = _number(port_text.partition("/")[0], 0, 65535, "port")
    # RFC 9143 §6: a bundle-only section has port zero and is offered all the same.
    rejected = port == 0 and "bundle-only" not in block.attributes
    mid = block.one("mid") or ""
    if not (_MID.fullmatch(mid) or (rejected and not mid)):
        raise SdpError(f"section {index}: mid missing or malformed")
    head = (index, mid, kind, protocol, tuple(formats))
    if rejected:
        return Section(*head, direction="inactive", rejected=True)
    media = kind in ("audio", "video")
    return Section(
        *head,
        direction=_direction(block) or _direction(session) or "sendrecv",
        rejected=False,
        bundled=mid in bundle,
        rtcp_mux="rtcp-mux" in block.attributes,
        rtcp_rsize="rtcp-rsize" in block.attributes,
        extmap_allow_mixed="extmap-allow-mixed" in block.attributes or "extmap-allow-mixed" in session.attributes,
        codecs=_codecs(block, formats) if media else (),
        extensions=_extensions(block, session) if media else {},
        ssrcs=_ssrcs(block),
        rids=_rids(block),
        msid=_msid(block),
    )


_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")


def _direction(block: _Block) -> Direction | None:
    given: list[Direction] = [name for name in _DIRECTIONS if name in block.attributes]
    if len(given) > 1:
        raise SdpError("more than one direction")
    return given[0] if given else None


def _codecs(block: _Block, formats: list[str]) -> tuple[Codec, ...]:
    payload_types = [_number(format_, 0, 127, "payload type") for format_ in formats]
    if len(payload_types) != len(set(payload_types)):
        raise SdpError("a payload type is given twice")
    maps = _by_payload_type(block, "rtpmap")
    parameters = {pt: _parameters(value) for pt, value in _by_payload_type(block, "fmtp").items()}
    feedback: dict[int | None, set[str]] = {}
    for value in block.all("rtcp-fb"):
        target, _, what = value.partition(" ")
        pt = None if target == "*" else _number(target, 0, 127, "payload type")
        feedback.setdefault(pt, set()).add(" ".join(what.split()))
    for_all = feedback.get(None, set())
    codecs: dict[int, Codec] = {}
    rtx: dict[int, tuple[int, int]] = {}  # payload type of the codec -> that of its RTX, and its clock rate
    for pt in payload_types:
        if pt not in maps:
            continue  # a static payload type (RFC 3551): none that we forward
        name, clock_rate, channels = _rtpmap(maps[pt])
        if name == "rtx":
            apt = parameters.get(pt, {}).get("apt", "")
            if re.fullmatch(r"[0-9]{1,3}", apt):
                rtx.setdefault(int(apt), (pt, clock_rate))
            continue
        own = frozenset(feedback.get(pt, set()) | for_all)
        codecs[pt] = Codec(pt, name, clock_rate, channels, parameters.get(pt, {}), own)
    return tuple(_with_rtx(codec, rtx.get(codec.payload_type)) for codec in codecs.values())


def _with_rtx(codec: Codec, rtx: tuple[int, int] | None) -> Codec:
    if rtx is None or rtx[1] != codec.clock_rate:  # RFC 4588 §8.1: the rate of RTX is that of its codec
        return codec
    return Codec(
        codec.payload_type, codec.name, codec.clock_rate, codec.channels, codec.parameters, codec.feedback, rtx[0]
    )


def _by_payload_type(block: _Block, name: str) -> dict[int, str]:
    values: dict[int, str] = {}
    for value in block.all(name):
        payload_type, _, rest = value.partition(" ")
        pt = _number(payload_type, 0, 127, "payload type")
        if values.setdefault(pt, rest) != rest:
            raise SdpError(f"payload type {pt} has two {name} lines")
    return values


def _rtpmap(value: str) -> tuple[str, int, int]:
    name, _, rest = value.strip().partition("/")
    clock_rate, _, channels = rest.partition("/")
    if not _TOKEN.fullmatch(name):
        raise SdpError("malformed rtpmap")
    return (
        canonical_name(name),
        _number(clock_rate, 1, 1_000_000, "clock rate"),
        _number(channels or "1", 1, 255, "number of channels"),
    )


def _parameters(value: str) -> dict[str, str]:
    pairs = (item.strip().partition("=") for item in value.split(";"))
    return {key.strip().lower(): text.strip() for key, _, text in pairs if key}


def _extensions(block: _Block, session: _Block) -> dict[str, int]:
    values = session.all("extmap") + block.all("extmap")
    if len(values) > MAX_PER_SECTION:
        raise SdpError("too many header extensions")
    extensions: dict[str, int] = {}
    taken: dict[int, str] = {}
    for value in values:
        id_and_direction, _, rest = value.partition(" ")
        identifier = _number(id_and_direction.partition("/")[0], 1, 255, "header extension id")
        uri = (rest.split() or [""])[0]
        if not uri or taken.setdefault(identifier, rest) != rest:
            raise SdpError(f"header extension id {identifier} has no URI or two")
        extensions.setdefault(uri, identifier)
    return extensions


_MAX_SSRC: Final = 2**32 - 1


def _ssrcs(block: _Block) -> tuple[Ssrc, ...]:
    given = dict.fromkeys(value.partition(" ")[0] for value in block.all("ssrc"))
    groups = [value.split() for value in block.all("ssrc-group")]
    if len(given) > MAX_PER_SECTION or len(groups) > MAX_PER_SECTION:
        raise SdpError("too many SSRCs")
    primaries = [_number(value, 0, _MAX_SSRC, "SSRC") for value in given]
    rtx: dict[int, int] = {}
    repairing: set[int] = set()
    for semantics, *members in (group for group in groups if group):
        if semantics not in ("FID", "FEC-FR"):
            continue
        if len(members) != 2:
            raise SdpError(f"an ssrc-group {semantics} has two members")
        primary, repair = (_number(member, 0, _MAX_SSRC, "SSRC") for member in members)
        if primary == repair or repair in repairing or (semantics == "FID" and primary in rtx):
            raise SdpError("SSRC groups contradict each other")
        repairing.add(repair)
        if semantics == "FID":
            rtx[primary] = repair
    if repairing & rtx.keys():
        raise SdpError("SSRC groups contradict each other")
    ordered = dict.fromkeys([*primaries, *rtx])
    return tuple(Ssrc(primary, rtx.get(primary)) for primary in ordered if primary not in repairing)


def _refuse_shared_ssrcs(sections: Iterable[Section]) -> None:
    seen: set[int] = set()
    for section in sections:
        own = {ssrc for pair in section.ssrcs for ssrc in (pair.primary, pair.rtx) if ssrc is not None}
        if seen & own:
            raise SdpError("two sections claim the same SSRC")
        seen |= own


def _rids(block: _Block) -> tuple[str, ...]:
    fields = [value.split() for value in block.all("rid")]
    rids = tuple(dict.fromkeys(f[0] for f in fields if len(f) >= 2 and f[1] == "send"))
    if len(rids) > MAX_PER_SECTION or not all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", rid) for rid in rids):
        raise SdpError("malformed or too many rids")
    return rids


def _msid(block: _Block) -> tuple[str, str] | None:
    values = block.all("msid")
    if not values:
        return None
    stream, _, track = values[0].partition(" ")
    return stream, track
