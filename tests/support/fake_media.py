"""A MediaPlane without media: it remembers what it was asked, answers offers at once, and reports what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from sfu.media_plane import (
    AcceptedTrack,
    Answer,
    Kind,
    MediaError,
    MediaEvent,
    MediaStats,
    PeerId,
    PublishedTrack,
    TrackId,
)


class FakeMediaPlane:
    """Sections whose mid begins with `v` are video, all others audio; an SDP that says `broken` is refused."""

    def __init__(self) -> None:
        self.verbs: list[tuple[object, ...]] = []
        self.peers: dict[PeerId, str] = {}
        self.held: asyncio.Event | None = None  # set to an Event: answers wait for it
        self._events: asyncio.Queue[MediaEvent | None] = asyncio.Queue()

    def emit(self, event: MediaEvent) -> None:
        """Let something happen in the media plane."""
        self._events.put_nowait(event)

    async def open_peer(self, peer: PeerId, room: str) -> None:
        self.verbs.append(("open_peer", peer, room))
        self.peers[peer] = room

    async def close_peer(self, peer: PeerId) -> None:
        self.verbs.append(("close_peer", peer))
        self.peers.pop(peer, None)

    async def answer(self, peer: PeerId, sdp: str, tracks: Sequence[PublishedTrack]) -> Answer:
        self.verbs.append(("answer", peer, sdp, tuple(tracks)))
        if peer not in self.peers:
            raise MediaError("unknown_peer", "There is no such peer.")
        if self.held is not None:
            await self.held.wait()
        if "broken" in sdp:
            raise MediaError("offer_invalid", "This is not SDP.")
        return Answer(sdp="answer to " + sdp, accepted=tuple(accepted(track) for track in tracks))

    async def subscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        self.verbs.append(("subscribe", peer, tuple(tracks)))

    async def unsubscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        self.verbs.append(("unsubscribe", peer, tuple(tracks)))

    async def set_muted(self, track: TrackId, muted: bool) -> None:
        self.verbs.append(("set_muted", track, muted))

    async def stats(self) -> MediaStats:
        return MediaStats(
            counters={
                "packets_forwarded_total": 3,
                "datagrams_dropped_total{reason=unknown_address}": 2,
                "datagrams_dropped_total{reason=junk}": 1,
            },
            gauges={"media_peers": float(len(self.peers))},
        )

    async def events(self) -> AsyncIterator[MediaEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    async def close(self) -> None:
        self._events.put_nowait(None)


def accepted(track: PublishedTrack) -> AcceptedTrack:
    """How the fake accepts a published section."""
    kind: Kind = "video" if track.mid.startswith("v") else "audio"
    return AcceptedTrack(mid=track.mid, track=track.track, kind=kind, codec="VP8" if kind == "video" else "opus")
