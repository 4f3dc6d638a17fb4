"""From an offer to what it changes: which sections publish, which are slots, and what ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .answer import Negotiated, SectionPlan, negotiate
from .codec_policy import answerable
from .codecs import AUDIO_LEVEL, VIDEO_ORIENTATION, CodecKey
from .inbound import InboundTrack
from .media_plane import AcceptedTrack, Kind, TrackId
from .outbound import FIRST_NUMBER_BELOW, HeaderExtensions, OutboundStream, PayloadTypes
from .peer import Peer
from .published import Published
from .sdp import Offer, Section

# Over a transport that is up, media would overtake the answer that announces it, and a browser drops what it does
# not know, the first keyframe among it. Longer is safer on slow paths, shorter shows a newcomer sooner.
_ANSWER_TAKES = 0.150


@dataclass(slots=True)
class Outcome:
    """What an offer came to; `started` and `ended` are the tracks that others can or can no longer receive."""

    plans: list[SectionPlan] = field(default_factory=list)
    accepted: list[AcceptedTrack] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    started: list[Published] = field(default_factory=list)
    ended: list[Published] = field(default_factory=list)


class Negotiation:
    """Applies offers to peers. `random_bits(n)` gives SSRCs and first numbers."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits

    def apply(
        self,
        peer: Peer,
        offer: Offer,
        tracks: Mapping[str, TrackId],
        allowed: Collection[CodecKey] | None,
        now: float,
        dtx: Collection[str] = (),
    ) -> Outcome:
        """Change `peer` as `offer` says.

        `tracks` maps the mids that publish, and those in `dtx` want silence not to be sent; `allowed` is what the room
        decodes.
        """
        outcome = Outcome()
        for mid, track_id in tracks.items():
            if next(first for first, other in tracks.items() if other == track_id) != mid:
                outcome.rejected[mid] = "duplicate_track"
        tracks = {mid: track_id for mid, track_id in tracks.items() if mid not in outcome.rejected}
        # Keyed by mid: RFC 9429 section 5.2.2 lets a stopped section's index be used again for another mid.
        for section in offer.sections:
            if section.mid in tracks and section.is_media and section.direction in ("sendonly", "sendrecv"):
                plan = self._publish(peer, section, tracks[section.mid], allowed, outcome, now)
            elif section.is_media and (section.mid in peer.slots or section.direction in ("recvonly", "sendrecv")):
                plan = self._slot(peer, section, now)
            elif section.is_media:
                plan = SectionPlan.inactive(section)
            else:
                plan = SectionPlan.reject(section)
            outcome.plans.append(_with_dtx(plan) if section.mid in dtx else plan)
        for mid in [mid for mid in peer.published if mid not in {accepted.mid for accepted in outcome.accepted}]:
            self._end(peer, mid, outcome)
        for mid in tracks.keys() - {accepted.mid for accepted in outcome.accepted} - outcome.rejected.keys():
            outcome.rejected[mid] = "no_such_section"
        return outcome

    def _publish(
        self,
        peer: Peer,
        section: Section,
        track_id: TrackId,
        allowed: Collection[CodecKey] | None,
        outcome: Outcome,
        now: float,
    ) -> SectionPlan:
        published = peer.published.get(section.mid)
        running = published.track.codec if published is not None else None
        allowed = answerable([codec.key for codec in section.codecs], allowed, running)
        agreed = negotiate(section, allowed, "publish")
        if not agreed.codecs:
            outcome.rejected[section.mid] = "codec_unsupported"
            return SectionPlan.reject(section)
        kind: Kind = "audio" if section.kind == "audio" else "video"
        if published is not None and (published.id, published.kind) != (track_id, kind):
            self._end(peer, section.mid, outcome)
            published = None
        if published is None:
            published = Published(track_id, section.mid, kind, InboundTrack(kind))
            outcome.started.append(published)
        published.describe(agreed.codecs)
        if published.track.codec not in published.formats.values():
            # RFC 9429 section 5.2.1: the first format is the preferred one, and what browsers send.
            published.track.set_codec(published.formats[agreed.codecs[0].payload_type], now)
        ssrcs = {ssrc.primary: ssrc.rtx for ssrc in section.ssrcs}
        peer.publish(published, ssrcs, agreed.extensions, now)
        outcome.accepted.append(AcceptedTrack(section.mid, track_id, kind, agreed.codecs[0].name))
        return SectionPlan.publish(section, agreed.codecs, agreed.extensions)

    def _slot(self, peer: Peer, section: Section, now: float) -> SectionPlan:
        agreed = negotiate(section, None, "slot")
        kind: Kind = "audio" if section.kind == "audio" else "video"
        stream = peer.slots.get(section.mid)
        if not agreed.codecs or section.direction == "inactive":
            return SectionPlan.inactive(section)
        if stream is None:
            if peer.pool.count(kind) >= peer.pool.most[kind]:
                return SectionPlan.inactive(section)
            stream = self._new_stream(peer)
            stream.number = peer.pool.add(kind, section.mid, stream)
            peer.slots[section.mid] = stream
            peer.connect_slot(stream)
            if peer.transport.srtp is not None:
                stream.ready_at = now + _ANSWER_TAKES
        describe(stream, agreed)
        has_rtx = any(codec.rtx_payload_type is not None for codec in agreed.codecs)
        return SectionPlan.slot(
            section,
            agreed.codecs,
            agreed.extensions,
            ssrc=stream.ssrc,
            rtx_ssrc=stream.rtx_ssrc if has_rtx else None,
            stream_id=f"slot-{stream.number}",
            track_id=f"slot-{stream.number}-{kind}",
            cname=peer.rtcp.cname,
        )

    def _new_stream(self, peer: Peer) -> OutboundStream:
        """SSRCs are unique per transport, as the nonces under its one key depend on them."""
        ssrcs: list[int] = []
        taken = {known for stream in peer.streams.values() for known in (stream.ssrc, stream.rtx_ssrc)}
        while len(ssrcs) < 2:
            ssrc = self._random_bits(32)
            if ssrc and ssrc not in taken and ssrc not in ssrcs and ssrc != peer.rtcp.ssrc:
                ssrcs.append(ssrc)
        first, first_rtx = (self._random_bits(15) % FIRST_NUMBER_BELOW for _ in range(2))
        stream = OutboundStream(ssrcs[0], ssrcs[1], first, first_rtx)
        peer.streams[stream.ssrc] = stream
        return stream

    def _end(self, peer: Peer, mid: str, outcome: Outcome) -> None:
        ended = peer.unpublish(mid)
        if ended is not None:
            outcome.ended.append(ended)


def _with_dtx(plan: SectionPlan) -> SectionPlan:
    # RFC 7587 section 6.1: usedtx "specifies if the decoder prefers the use of DTX", so it is for our answer to say.
    asked = [replace(codec, parameters={**codec.parameters, "usedtx": "1"}) for codec in plan.codecs]
    return replace(plan, codecs=tuple(asked))


def describe(stream: OutboundStream, agreed: Negotiated) -> None:
    """Tell a stream how its receiver calls codecs and header extensions."""
    # The first payload type of a codec is the receiver's preferred one.
    stream.codecs = {
        codec.key: PayloadTypes(codec.payload_type, codec.rtx_payload_type, codec.red_payload_type)
        for codec in reversed(agreed.codecs)
    }
    stream.extensions = HeaderExtensions(
        agreed.extensions.get(AUDIO_LEVEL, 0), agreed.extensions.get(VIDEO_ORIENTATION, 0)
    )


def decoders(peers: Sequence[Peer]) -> list[frozenset[CodecKey]]:
    """What each peer decodes that has said so, by receive sections for video."""
    return [
        frozenset(key for stream in peer.streams.values() for key in stream.codecs)
        for peer in peers
        if peer.pool.count("video")
    ]
