"""What a peer publishes: a synthetic source, its section of the offer, and the stream that the answer makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .media import Camera, Microphone, Source
from .sdp import Answer, AnswerError, OfferedSection
from .stream import OutgoingStream, StreamFormat

SourceName = Literal["microphone", "camera", "screen", "screen_audio"]


@dataclass(frozen=True, slots=True)
class Rates:
    """What the synthetic sources produce. Bitrates in bits per second of payload."""

    video_bitrate: float = 500_000
    frame_rate: float = 30
    audio_bitrate: float = 32_000
    payload_bytes: int = 1200


@dataclass(slots=True)
class Publication:
    """A track that the peer sends. `track` is the server's id for it, "" until it is answered."""

    name: SourceName
    section: OfferedSection
    source: Source
    stream: OutgoingStream | None = None
    track: str = ""


def make_publication(
    name: SourceName, mid: str, ssrcs: tuple[int, int], tag: int, rates: Rates, start: float
) -> Publication:
    """A source that begins at `start` (monotonic seconds); `ssrcs` are those of media and of retransmissions."""
    if name in ("camera", "screen"):
        camera = Camera(
            tag,
            bits_per_second=rates.video_bitrate,
            frames_per_second=rates.frame_rate,
            start=start,
            payload_bytes=rates.payload_bytes,
        )
        return Publication(name, OfferedSection(mid, "video", *ssrcs), camera)
    microphone = Microphone(tag, bits_per_second=rates.audio_bitrate, start=start)
    return Publication(name, OfferedSection(mid, "audio", ssrcs[0]), microphone)


def outgoing_stream(item: Publication, answer: Answer, sequence: int) -> OutgoingStream:
    """The stream that the answer made of a publication. Raises AnswerError if it made none."""
    section, offered = answer.sections.get(item.section.mid), item.section
    if section is None or offered.ssrc is None:
        raise AnswerError(f"the answer lacks section {offered.mid}")
    settled = StreamFormat(
        mid=offered.mid,
        ssrc=offered.ssrc,
        payload_type=section.payload_type,
        clock_rate=item.source.clock_rate,
        extensions=section.extensions,
        rtx_ssrc=offered.rtx_ssrc if section.rtx_payload_type is not None else None,
        rtx_payload_type=section.rtx_payload_type,
    )
    return OutgoingStream(settled, sequence=sequence)
