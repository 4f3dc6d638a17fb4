"""A track as its publisher's offers describe it: its section, and which payload type holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .codecs import CodecKey
from .inbound import InboundTrack
from .media_plane import Kind, TrackId
from .sdp import Codec


@dataclass(slots=True)
class Published:
    """A track that a peer publishes in section `mid`. `formats` and `rtx_formats` are by payload type."""

    id: TrackId
    mid: str
    kind: Kind
    track: InboundTrack
    formats: Mapping[int, CodecKey] = field(default_factory=dict)
    rtx_formats: Mapping[int, int] = field(default_factory=dict)
    """RTX payload type -> payload type of what it repeats."""
    red_formats: Mapping[int, int] = field(default_factory=dict)
    """Payload type of redundancy -> payload type of its blocks."""
    level_id: int = 0
    orientation_id: int = 0
    asked_to_leave: CodecKey | None = None
    """The codec that its publisher was asked to change, since somebody cannot decode it."""

    def describe(self, codecs: Sequence[Codec]) -> None:
        """An answer accepts `codecs`. What the track comes in until the publisher has read it is understood, too."""
        taken = {pt for c in codecs for pt in (c.payload_type, c.rtx_payload_type, c.red_payload_type)}
        before = {pt: key for pt, key in self.formats.items() if key == self.track.codec and pt not in taken}
        repeats = {rtx: pt for rtx, pt in self.rtx_formats.items() if pt in before and rtx not in taken}
        self.formats = before | {c.payload_type: c.key for c in codecs}
        self.rtx_formats = repeats | {
            c.rtx_payload_type: c.payload_type for c in codecs if c.rtx_payload_type is not None
        }
        self.red_formats = {c.red_payload_type: c.payload_type for c in codecs if c.red_payload_type is not None}
