"""One section of an offer: the codecs, header extensions and streams that its lines describe, as plain values.

Only what an answer or the media path needs is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from .codecs import CodecKey, canonical_name, codec_key
from .sdp_lines import TOKEN, Block, SdpError, number

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_PER_SECTION: Final = 128  # formats, header extensions, SSRCs: of each at most so many


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
    red_payload_type: int | None = None
    """Of redundancy (RFC 2198) whose blocks are all of this codec."""
    red_preferred: bool = False
    """Whether redundancy was named before the codec itself: what stands first is what a browser sends."""

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


_MID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")  # what our own messages can carry
_PROTOCOL: Final = re.compile(r"[A-Za-z0-9/]{1,64}")


def read_section(block: Block, index: int, session: Block, bundle: tuple[str, ...]) -> Section:
    """Read the section `block`; `session` has what holds for all. Raises SdpError."""
    kind, port_text, protocol, *formats = block.media.split(" ") if block.media.count(" ") >= 3 else ("", "", "")
    if not TOKEN.fullmatch(kind) or not _PROTOCOL.fullmatch(protocol):
        raise SdpError(f"section {index}: malformed m= line")
    if len(formats) > MAX_PER_SECTION or not all(TOKEN.fullmatch(format_) for format_ in formats):
        raise SdpError(f"section {index}: malformed formats")
    media = kind in ("audio", "video")
    payload_types = [number(format_, 0, 127, "payload type") for format_ in formats] if media else []
    port = number(port_text.partition("/")[0], 0, 65535, "port")
    # RFC 9143 §6: a bundle-only section has port zero and is offered all the same.
    rejected = port == 0 and "bundle-only" not in block.attributes
    mid = block.one("mid") or ""
    if not (_MID.fullmatch(mid) or (rejected and not mid)):
        raise SdpError(f"section {index}: mid missing or malformed")
    head = (index, mid, kind, protocol, tuple(formats))
    if rejected:
        return Section(*head, direction="inactive", rejected=True)
    return Section(
        *head,
        direction=_direction(block) or _direction(session) or "sendrecv",
        rejected=False,
        bundled=mid in bundle,
        rtcp_mux="rtcp-mux" in block.attributes,
        rtcp_rsize="rtcp-rsize" in block.attributes,
        extmap_allow_mixed="extmap-allow-mixed" in block.attributes or "extmap-allow-mixed" in session.attributes,
        codecs=_codecs(block, payload_types) if media else (),
        extensions=_extensions(block, session) if media else {},
        ssrcs=_ssrcs(block),
    )


_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")


def _direction(block: Block) -> Direction | None:
    given: list[Direction] = [name for name in _DIRECTIONS if name in block.attributes]
    if len(given) > 1:
        raise SdpError("more than one direction")
    return given[0] if given else None


def _codecs(block: Block, payload_types: list[int]) -> tuple[Codec, ...]:
    if len(payload_types) != len(set(payload_types)):
        raise SdpError("a payload type is given twice")
    maps = _by_payload_type(block, "rtpmap")
    parameters = {pt: _parameters(value) for pt, value in _by_payload_type(block, "fmtp").items()}
    feedback: dict[int | None, set[str]] = {}
    for value in block.all("rtcp-fb"):
        target, _, what = value.partition(" ")
        pt = None if target == "*" else number(target, 0, 127, "payload type")
        feedback.setdefault(pt, set()).add(" ".join(what.split()))
    for_all = feedback.get(None, set())
    codecs: dict[int, Codec] = {}
    rtx: dict[int, tuple[int, int]] = {}  # payload type of the codec -> that of its RTX, and its clock rate
    red: dict[int, Codec] = {}  # payload type of the codec -> its redundancy
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
        codec = Codec(pt, name, clock_rate, channels, parameters.get(pt, {}), own)
        repeated = _repeated(codec)
        if repeated is None:
            codecs[pt] = codec
        else:
            red.setdefault(repeated, codec)
    order = payload_types.index
    return tuple(_with_red(_with_rtx(codec, rtx.get(pt)), red.get(pt), order) for pt, codec in codecs.items())


def _repeated(codec: Codec) -> int | None:
    """The payload type that all blocks of this redundancy have; None if it is no redundancy, or of several codecs."""
    if codec.name != "red":
        return None
    # RFC 2198 section 5: "a=fmtp:121 0/5" lists the payload types of primary and older blocks.
    blocks = next(iter(codec.parameters), "").split("/")
    alike = len(blocks) > 1 and len(set(blocks)) == 1 and re.fullmatch(r"[0-9]{1,3}", blocks[0])
    return int(blocks[0]) if alike else None


def _with_red(codec: Codec, red: Codec | None, order: Callable[[int], int]) -> Codec:
    if red is None or (red.clock_rate, red.channels) != (codec.clock_rate, codec.channels):
        return codec
    preferred = order(red.payload_type) < order(codec.payload_type)
    return replace(codec, red_payload_type=red.payload_type, red_preferred=preferred)


def _with_rtx(codec: Codec, rtx: tuple[int, int] | None) -> Codec:
    if rtx is None or rtx[1] != codec.clock_rate:  # RFC 4588 §8.1: the rate of RTX is that of its codec
        return codec
    return replace(codec, rtx_payload_type=rtx[0])


def _by_payload_type(block: Block, name: str) -> dict[int, str]:
    values: dict[int, str] = {}
    for value in block.all(name):
        payload_type, _, rest = value.partition(" ")
        pt = number(payload_type, 0, 127, "payload type")
        if values.setdefault(pt, rest) != rest:
            raise SdpError(f"payload type {pt} has two {name} lines")
    return values


def _rtpmap(value: str) -> tuple[str, int, int]:
    name, _, rest = value.strip().partition("/")
    clock_rate, _, channels = rest.partition("/")
    if not TOKEN.fullmatch(name):
        raise SdpError("malformed rtpmap")
    return (
        canonical_name(name),
        number(clock_rate, 1, 1_000_000, "clock rate"),
        number(channels or "1", 1, 255, "number of channels"),
    )


def _parameters(value: str) -> dict[str, str]:
    pairs = (item.strip().partition("=") for item in value.split(";"))
    return {key.strip().lower(): text.strip() for key, _, text in pairs if key}


def _extensions(block: Block, session: Block) -> dict[str, int]:
    values = session.all("extmap") + block.all("extmap")
    if len(values) > MAX_PER_SECTION:
        raise SdpError("too many header extensions")
    extensions: dict[str, int] = {}
    taken: dict[int, str] = {}
    for value in values:
        id_and_direction, _, rest = value.partition(" ")
        id_text, _, direction = id_and_direction.partition("/")
        identifier = number(id_text, 1, 255, "header extension id")
        uri = (rest.split() or [""])[0]
        if not uri or taken.setdefault(identifier, rest) != rest:
            raise SdpError(f"header extension id {identifier} has no URI or two")
        if direction != "inactive":
            extensions.setdefault(uri, identifier)
    return extensions


_MAX_SSRC: Final = 2**32 - 1


def _ssrcs(block: Block) -> tuple[Ssrc, ...]:
    given = dict.fromkeys(value.partition(" ")[0] for value in block.all("ssrc"))
    groups = [value.split() for value in block.all("ssrc-group")]
    if len(given) > MAX_PER_SECTION or len(groups) > MAX_PER_SECTION:
        raise SdpError("too many SSRCs")
    primaries = [number(value, 0, _MAX_SSRC, "SSRC") for value in given]
    rtx: dict[int, int] = {}
    repairing: set[int] = set()
    for semantics, *members in (group for group in groups if group):
        if semantics not in ("FID", "FEC-FR"):
            continue
        if len(members) != 2:
            raise SdpError(f"an ssrc-group {semantics} has two members")
        primary, repair = (number(member, 0, _MAX_SSRC, "SSRC") for member in members)
        if primary == repair or repair in repairing or (semantics == "FID" and primary in rtx):
            raise SdpError("SSRC groups contradict each other")
        repairing.add(repair)
        if semantics == "FID":
            rtx[primary] = repair
    if repairing & rtx.keys():
        raise SdpError("SSRC groups contradict each other")
    ordered = dict.fromkeys([*primaries, *rtx])
    return tuple(Ssrc(primary, rtx.get(primary)) for primary in ordered if primary not in repairing)
