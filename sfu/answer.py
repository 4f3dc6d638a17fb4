"""The SDP answer: what of each offered section is accepted, and the text that says so (RFC 8829 §5.3, RFC 9143 §7.3).

We are ICE-lite and the passive DTLS side, all accepted sections share one transport, and an answer is a function of
its arguments: the same arguments give the same text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .candidates import Candidate, default_destination
from .codecs import OPUS, CodecKey, Role, answered_extensions, answered_feedback, answered_parameters, is_forwarded
from .sdp import Codec, Offer, Section


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides can do in one section; without codecs the section has to be rejected."""

    codecs: tuple[Codec, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)


def negotiate(section: Section, allowed: Collection[CodecKey] | None, role: Role) -> Negotiated:
    """Intersect what `section` offers with what we forward, and with `allowed` unless that is None.

    Codecs keep the order, payload types and format parameters of the offer. A `slot` is answered with every codec
    left: which one it carries is decided by the track that is put into it.
    """
    if not section.is_media:
        return Negotiated()
    codecs = tuple(
        replace(
            _without_strange_red(codec),
            feedback=answered_feedback(section.kind, role, codec.feedback, rtx=codec.rtx_payload_type is not None),
        )
        for codec in section.codecs
        if is_forwarded(codec.key) and (allowed is None or codec.key in allowed) and _distinct_from_rtcp(codec)
    )
    return Negotiated(codecs, answered_extensions(section.kind, role, section.extensions)) if codecs else Negotiated()


def _distinct_from_rtcp(codec: Codec) -> bool:
    # RFC 5761 §4: "payload types in the range 64-95 MUST NOT be used" where RTP and RTCP share a port.
    return not any(pt is not None and 64 <= pt <= 95 for pt in (codec.payload_type, codec.rtx_payload_type))


def _without_strange_red(codec: Codec) -> Codec:
    # Of redundancy only Opus's is forwarded; without it the codec itself still is.
    pt = codec.red_payload_type
    if pt is not None and (codec.name != OPUS.name or 64 <= pt <= 95):
        return replace(codec, red_payload_type=None, red_preferred=False)
    return codec


@dataclass(frozen=True, slots=True)
class SlotStream:
    """What a slot sends under: its SSRCs, and the names the client sees."""

    ssrc: int
    rtx_ssrc: int | None
    stream_id: str
    track_id: str
    cname: str


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """How one section is answered; made by `reject`, `publish`, `slot` or `inactive`. No codecs means rejected."""

    section: Section
    direction: Literal["recvonly", "sendonly", "inactive"] = "inactive"
    codecs: tuple[Codec, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    stream: SlotStream | None = None

    @property
    def accepted(self) -> bool:
        """Whether the section stays part of the transport."""
        return bool(self.codecs)

    @classmethod
    def reject(cls, section: Section) -> SectionPlan:
        """Refuse the section: its port becomes 0."""
        return cls(section)

    @classmethod
    def publish(cls, section: Section, codecs: Sequence[Codec], extensions: Mapping[str, int]) -> SectionPlan:
        """Receive what the client sends."""
        return cls(section, "recvonly", tuple(codecs), extensions)

    @classmethod
    def slot(
        cls,
        section: Section,
        codecs: Sequence[Codec],
        extensions: Mapping[str, int],
        ssrc: int,
        rtx_ssrc: int | None,
        stream_id: str,
        track_id: str,
        cname: str,
    ) -> SectionPlan:
        """Send under `ssrc`, and retransmissions under `rtx_ssrc`."""
        return cls(
            section,
            "sendonly",
            tuple(codecs),
            extensions,
            SlotStream(ssrc, rtx_ssrc, stream_id, track_id, cname),
        )

    @classmethod
    def inactive(cls, section: Section) -> SectionPlan:
        """Keep the section in the transport, but nothing flows. Rejects it if no codec is common."""
        common = negotiate(section, None, "publish")
        return cls(section, "inactive", common.codecs, common.extensions)


def build_answer(
    offer: Offer,
    plans: Sequence[SectionPlan],
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: tuple[str, str],
    candidates: Sequence[Candidate],
    session_id: int,
    session_version: int,
    start_bitrate_kbps: int | None = None,
) -> str:
    """Write the answer to `offer`, with one plan per section in the order of the sections.

    The section that holds the offer's transport is kept, inactive, if its plan rejects it while others are accepted.

    `session_version` has to grow by one with each answer of a session. `start_bitrate_kbps` (kilobits per second)
    tells Chromium where to start its estimate of the uplink: alone it ramps slowly.

    Raises ValueError if the plans are not those of the offer's sections.
    """
    if [plan.section for plan in plans] != list(offer.sections):
        raise ValueError("an answer needs one plan for each section of the offer, in order")
    plans = _with_tagged_section_kept(offer, plans)
    accepted = {plan.section.mid for plan in plans if plan.accepted}
    bundle = [mid for mid in offer.bundle if mid in accepted]
    transport = [
        f"a=ice-ufrag:{ice_ufrag}",
        f"a=ice-pwd:{ice_pwd}",
        f"a=fingerprint:{fingerprint[0]} {fingerprint[1]}",
        "a=setup:passive",
        "a=rtcp-mux",
    ]
    lines = [
        "v=0",
        f"o=- {session_id} {session_version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        " ".join(["a=group:BUNDLE", *bundle]),
        *(["a=extmap-allow-mixed"] if offer.extmap_allow_mixed else []),
        "a=msid-semantic: WMS *",
    ]
    for plan in plans:
        if not plan.accepted:
            lines += _rejected(plan.section)
            continue
        lines += _head(plan, candidates)
        if plan.section.mid == bundle[0]:  # the section whose candidates all others share (RFC 9143 §7.3)
            lines += [*(candidate.attribute() for candidate in candidates), "a=end-of-candidates"]
        lines += transport
        lines += _body(plan, offer, start_bitrate_kbps if plan.direction == "recvonly" else None)
    return "".join(f"{line}\r\n" for line in lines)


def _with_tagged_section_kept(offer: Offer, plans: Sequence[SectionPlan]) -> Sequence[SectionPlan]:
    # RFC 9143 §7.3.1 lets an answer reject the section whose transport the others share; Chromium with max-bundle then
    # loses that transport ("Failed to setup RTCP mux") and with it every later offer of the connection.
    if not any(plan.accepted for plan in plans):
        return plans
    live = {section.mid for section in offer.sections if section.bundled}
    tagged = next(mid for mid in offer.bundle if mid in live)
    return [
        SectionPlan.inactive(plan.section) if plan.section.mid == tagged and not plan.accepted else plan
        for plan in plans
    ]


def _rejected(section: Section) -> Iterator[str]:
    # RFC 3264 §6: "To reject an offered stream, the port number in the corresponding stream in the answer MUST be set
    # to zero"; formats are then meaningless but must be there.
    yield f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    yield "c=IN IP4 0.0.0.0"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield "a=inactive"


def _head(plan: SectionPlan, candidates: Sequence[Candidate]) -> Iterator[str]:
    formats = [payload_type for codec in plan.codecs for payload_type in _in_order(codec)]
    formats += [codec.rtx_payload_type for codec in plan.codecs if codec.rtx_payload_type is not None]
    there = default_destination(candidates)
    yield f"m={plan.section.kind} {there.port} {plan.section.protocol} {' '.join(map(str, formats))}"
    yield f"c=IN {there.family} {there.address}"


def _body(plan: SectionPlan, offer: Offer, start_bitrate_kbps: int | None) -> Iterator[str]:
    section = plan.section
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    yield f"a=mid:{section.mid}"
    yield f"a={plan.direction}"
    if section.extmap_allow_mixed and not offer.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    for uri, identifier in sorted(plan.extensions.items(), key=lambda item: item[1]):
        yield f"a=extmap:{identifier} {uri}"
    for codec in plan.codecs:
        yield from _codec(codec, start_bitrate_kbps if section.kind == "video" else None)
    if plan.stream is not None:
        with_rtx = any(codec.rtx_payload_type is not None for codec in plan.codecs)
        yield from _stream(plan.stream, plan.stream.rtx_ssrc if with_rtx else None)


def _in_order(codec: Codec) -> list[int]:
    if codec.red_payload_type is None:
        return [codec.payload_type]
    both = [codec.red_payload_type, codec.payload_type]
    return both if codec.red_preferred else both[::-1]


def _codec(codec: Codec, start_bitrate_kbps: int | None) -> Iterator[str]:
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    for feedback in sorted(codec.feedback):
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    parameters = answered_parameters(codec.name, codec.parameters)
    if start_bitrate_kbps is not None:
        parameters["x-google-start-bitrate"] = str(start_bitrate_kbps)
    if parameters:
        yield f"a=fmtp:{codec.payload_type} {';'.join(f'{key}={value}' for key, value in parameters.items())}"
    if codec.rtx_payload_type is not None:
        yield f"a=rtpmap:{codec.rtx_payload_type} rtx/{codec.clock_rate}"
        yield f"a=fmtp:{codec.rtx_payload_type} apt={codec.payload_type}"
    if codec.red_payload_type is not None:
        yield f"a=rtpmap:{codec.red_payload_type} red/{codec.clock_rate}{channels}"
        yield f"a=fmtp:{codec.red_payload_type} {codec.payload_type}/{codec.payload_type}"


def _stream(stream: SlotStream, rtx_ssrc: int | None) -> Iterator[str]:
    yield f"a=msid:{stream.stream_id} {stream.track_id}"
    if rtx_ssrc is not None:
        yield f"a=ssrc-group:FID {stream.ssrc} {rtx_ssrc}"
    for ssrc in (stream.ssrc, rtx_ssrc):
        if ssrc is not None:
            yield f"a=ssrc:{ssrc} cname:{stream.cname}"
            yield f"a=ssrc:{ssrc} msid:{stream.stream_id} {stream.track_id}"
