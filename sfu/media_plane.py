"""MediaPlane is everything the control plane knows of media: one asynchronous interface and its values.

The control plane names peers and tracks; the media plane answers their offers, decides which track travels in
which receive slot, forwards packets, and reports what happened as events. The engine behind it may live in this
process or in a worker, which is why every verb is a coroutine and every value is plain data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NewType, Protocol

PeerId = NewType("PeerId", str)
TrackId = NewType("TrackId", str)
Kind = Literal["audio", "video"]
PeerState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]


class MediaError(Exception):
    """A verb was refused; `code` is stable and machine-readable, the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """The client's word that the section `mid` of its offer carries the track the control plane calls `track`.

    `dtx` asks an Opus encoder to send next to nothing while there is nothing to hear.
    """

    mid: str
    track: TrackId
    dtx: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedTrack:
    """A published section that the answer accepts, and the codec (`"opus"`, `"VP8"`, …) it will carry."""

    mid: str
    track: TrackId
    kind: Kind
    codec: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The SDP answer to one offer. `rejected` maps a mid to the reason why its track was not accepted."""

    sdp: str
    accepted: tuple[AcceptedTrack, ...]
    rejected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerStateChanged:
    """The transport of `peer` moved to `state`; `reason` says why in words an operator understands."""

    peer: PeerId
    state: PeerState
    reason: str


@dataclass(frozen=True, slots=True)
class NegotiationNeeded:
    """`peer` should send an offer with `audio` and `video` receive sections in total (not: in addition).

    It should do so even if it has them all: its answer may then choose another codec for what it publishes.
    """

    peer: PeerId
    audio: int
    video: int


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """The whole slot map of `peer`: receive section mid -> the track it carries now, None for an empty slot."""

    peer: PeerId
    slots: Mapping[str, TrackId | None]


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Who speaks in `room` now, loudest first, with a level from 0 (silence) to 1 (full scale)."""

    room: str
    speakers: tuple[tuple[TrackId, float], ...]


@dataclass(frozen=True, slots=True)
class TrackUnreceivable:
    """`peer` subscribed to `track` but negotiated no decoder for its `codec`."""

    peer: PeerId
    track: TrackId
    codec: str


MediaEvent = PeerStateChanged | NegotiationNeeded | SlotsChanged | SpeakersChanged | TrackUnreceivable


@dataclass(frozen=True, slots=True)
class MediaStats:
    """Counters since start, and gauges, ready to be exported.

    Keys of `counters` and `gauges` are metric names without prefix (`"packets_forwarded_total"`); a name may carry
    one label as `name{label=value}`, e.g. `datagrams_dropped_total{reason=unknown_address}`.
    """

    counters: Mapping[str, int]
    gauges: Mapping[str, float]


class MediaPlane(Protocol):
    """What the control plane may ask of media. Verbs for an unknown peer raise MediaError("unknown_peer")."""

    async def open_peer(self, peer: PeerId, room: str) -> None:
        """Make a peer that belongs to `room` (an opaque grouping: its peers may receive each other's tracks)."""

    async def close_peer(self, peer: PeerId) -> None:
        """End the peer: DTLS closed, its tracks gone from every slot. Unknown peers are ignored."""

    async def answer(self, peer: PeerId, sdp: str, tracks: Sequence[PublishedTrack]) -> Answer:
        """Answer an offer of `peer`.

        `tracks` is the whole list of what the peer publishes after this offer: a track that was there before and is
        missing now is unpublished. Sections the offer marks `recvonly` become receive slots.

        Raises MediaError: `offer_invalid` (not SDP, or no usable transport), `offer_too_large`, `too_many_sections`,
        `fingerprint_missing`.
        """

    async def subscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        """Want `tracks` delivered to `peer`; SlotsChanged and, if slots are lacking, NegotiationNeeded follow."""

    async def unsubscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        """Stop delivering `tracks` to `peer`. Tracks not subscribed to are ignored."""

    async def set_muted(self, track: TrackId, muted: bool) -> None:
        """Forward nothing of `track` while muted. Unknown tracks are ignored."""

    async def stats(self) -> MediaStats:
        """Counters and gauges now."""

    def events(self) -> AsyncIterator[MediaEvent]:
        """All events in the order they happened; for one consumer. Ends when the plane is closed."""

    async def close(self) -> None:
        """Close every peer and release the sockets."""
