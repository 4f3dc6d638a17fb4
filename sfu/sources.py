"""Which SSRC carries what of one peer: offers announce some, packets say the rest (RFC 9143 section 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .counters import Counters
from .published import Published
from .rtp import Packet

# SSRCs that a client may use: two per track and some that ended. More is somebody filling our tables.
MAX_SOURCES: Final = 256


@dataclass(frozen=True, slots=True)
class Source:
    """What an SSRC carries; `repairs` if it is a track's RTX stream."""

    published: Published
    repairs: bool


class Sources:
    """`published` are the peer's tracks by mid: whoever gave it goes on changing it."""

    def __init__(self, published: Mapping[str, Published], counters: Counters) -> None:
        self.by_ssrc: dict[int, Source] = {}
        """What is known. Always the same dict, so that the packet path may keep it; what is not in it, `resolve`."""
        self.mid_id = 0  # the header extension that names a section
        self._published = published
        self._counters = counters

    def announce(self, published: Published, ssrcs: Mapping[int, int | None], now: float) -> None:
        """An offer says what `published` comes under: media -> RTX."""
        for media, rtx in list(ssrcs.items())[:1]:  # one layer per track
            self._set(published, media, now)
            if rtx is not None:
                self.by_ssrc[rtx] = Source(published, repairs=True)

    def forget(self, published: Published) -> None:
        """It is published no longer."""
        for ssrc in [ssrc for ssrc, source in self.by_ssrc.items() if source.published is published]:
            del self.by_ssrc[ssrc]

    def resolve(self, packet: Packet, now: float) -> Source | None:
        """Whose packet is it? The mid says so, else a payload type of one section only. None, and counted: nobody's."""
        dropped = self._counters.dropped
        if len(self.by_ssrc) >= MAX_SOURCES:
            dropped["unknown_ssrc"] += 1
            return None
        mid = packet.extensions.get(self.mid_id)
        tracks = self._published.values()
        if mid is not None:
            candidates = [p for p in tracks if p.mid.encode() == mid]
        else:
            payload_type = packet.payload_type
            candidates = [p for p in tracks if payload_type in p.formats or payload_type in p.red_formats]
        if len(candidates) != 1:
            dropped["unknown_ssrc"] += 1  # Chromium's bandwidth probes on SSRC 0 among them
            return None
        published = candidates[0]
        if packet.payload_type in published.rtx_formats:
            source = self.by_ssrc[packet.ssrc] = Source(published, repairs=True)
            return source
        if published.track.ssrc and not published.track.restarts.take(now):
            dropped["source_restarts"] += 1
            return None
        return self._set(published, packet.ssrc, now)

    def _set(self, published: Published, ssrc: int, now: float) -> Source:
        """The track's packets come under `ssrc` now; under the one before, nothing is its any more."""
        track = published.track
        if track.ssrc and track.ssrc != ssrc:
            self.by_ssrc.pop(track.ssrc, None)
            track.restart(now)
        track.ssrc = ssrc
        source = self.by_ssrc[ssrc] = Source(published, repairs=False)
        return source


def unwrap_rtx(packet: Packet, published: Published) -> Packet | None:
    """What an RTX packet repeats (RFC 4588 section 4: the payload begins with the original sequence number).

    None if that is nothing: a bandwidth probe, or an unknown payload type.
    """
    payload_type = published.rtx_formats.get(packet.payload_type)
    if payload_type is None or len(packet.payload) <= 2:
        return None
    sequence = packet.payload[0] << 8 | packet.payload[1]
    return packet._replace(
        payload_type=payload_type, sequence=sequence, ssrc=published.track.ssrc, payload=packet.payload[2:]
    )
