"""What a peer received, slot by slot and packet by packet: the proof of delivery, and what to ask for again.

It finds gaps much as sfu/loss.py does, and shares nothing with it on purpose: it is the witness of what the server
repairs, and a mistake in code that both used would not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from sfu import rtp
from sfu.payloads import starts_keyframe
from sfu.rtcp import ReportBlock
from sfu.sequence import FIRST_CYCLE, extend

from .deliveries import Deliveries
from .tags import read_tag

Kind = Literal["audio", "video"]

_REORDER_WAIT = 0.010  # seconds before the first NACK, so that packets that are only late are not asked for
_RETRY_INTERVAL = 0.100  # seconds until the next
_MAX_TRIES = 10
_KEYFRAME_RETRY = 1.0  # seconds
_MAX_GAP = 1000  # packets; after a larger jump nothing is repaired

_starts_vp8_keyframe = starts_keyframe("VP8")


class _Gap:
    __slots__ = ("due", "tries")

    def __init__(self, due: float) -> None:
        self.due = due
        self.tries = 0


class SlotLedger:
    """One receive section. Sequence numbers are unwrapped, times in seconds."""

    def __init__(self, mid: str, kind: Kind, ssrc: int, rtx_ssrc: int | None) -> None:
        self.mid = mid
        self.kind: Kind = kind
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.track: str | None = None
        self.packets = 0  # first arrivals, repairs included
        self.bytes = 0
        self.duplicates = 0
        self.reordered = 0  # arrived late without having been asked for
        self.repaired = 0  # arrived after having been asked for
        self.keyframes = 0
        self.given_up = 0
        self.mapped_at = 0.0
        self.first_packet: float | None = None  # seconds after the slot got its track
        self.first_keyframe: float | None = None
        self.last_sr = 0
        self.last_sr_at = 0.0
        self._first = -1
        self._highest = -1
        self._missing: dict[int, _Gap] = {}
        self._keyframe_asked = 0.0
        self._reported = (0, 0)  # (expected, received) at the last report

    @property
    def lost(self) -> int:
        """Packets that did not arrive, so far."""
        return len(self._missing) + self.given_up

    @property
    def has_started(self) -> bool:
        """Whether its track plays: something arrived, and of a video a keyframe."""
        return (self.first_keyframe if self.kind == "video" else self.first_packet) is not None

    def carry(self, track: str | None, now: float) -> None:
        """The slot carries `track` from now on."""
        if track != self.track:
            self.track = track
            self.mapped_at = self._keyframe_asked = now
            self.first_packet = self.first_keyframe = None

    def arrived(self, sequence: int, now: float) -> bool:
        """Count a packet; False for one that had arrived before."""
        highest = self._highest
        if highest < 0:
            self._first = self._highest = FIRST_CYCLE + sequence
            self.packets += 1
            return True
        index = extend(sequence, highest)
        if index == highest + 1:
            self._highest = index
        elif index > highest:
            self._highest = index
            if index - highest > _MAX_GAP:
                self.given_up += index - highest - 1
            else:
                due = now + _REORDER_WAIT
                self._missing.update((skipped, _Gap(due)) for skipped in range(highest + 1, index))
        else:
            gap = self._missing.pop(index, None)
            if gap is None:
                self.duplicates += 1
                return False
            if gap.tries:
                self.repaired += 1
            else:
                self.reordered += 1
        self.packets += 1
        return True

    def nack(self, now: float) -> list[int]:
        """The 16-bit sequence numbers to ask for now. Audio is not repaired: it would come too late."""
        if not self._missing or self.rtx_ssrc is None:
            return []
        asked = []
        for index, gap in list(self._missing.items()):
            if gap.due > now:
                continue
            if gap.tries >= _MAX_TRIES:
                del self._missing[index]
                self.given_up += 1
                continue
            gap.tries += 1
            gap.due = now + _RETRY_INTERVAL
            asked.append(index & 0xFFFF)
        return asked

    def needs_keyframe(self, now: float) -> bool:
        """Whether to send a PLI now: a video has been waited for long enough."""
        if self.kind == "audio" or self.track is None or self.first_keyframe is not None:
            return False
        if now - self._keyframe_asked < _KEYFRAME_RETRY:
            return False
        self._keyframe_asked = now
        return True

    def block(self, now: float) -> ReportBlock | None:
        """A report block since the last one (RFC 3550 Appendix A.3), None before the first packet. Jitter is not
        measured: nobody plays this."""
        if self._first < 0:
            return None
        expected = self._highest - self._first + 1
        new = expected - self._reported[0]
        lost = new - (self.packets - self._reported[1])
        self._reported = (expected, self.packets)
        fraction = min(255, (lost << 8) // new) if new > 0 and lost > 0 else 0
        delay = int((now - self.last_sr_at) * 65536) if self.last_sr else 0
        return ReportBlock(self.ssrc, fraction, expected - self.packets, self._highest, 0, self.last_sr, delay)


class Ledger:
    """All receive sections of one connection; `deliveries` counts for all connections that a peer has."""

    def __init__(self, deliveries: Deliveries | None = None) -> None:
        self.slots: dict[str, SlotLedger] = {}
        self.deliveries = deliveries or Deliveries()
        self.packets = 0
        self.bytes = 0
        self.sampled = 0  # packets of a known slot with a tag, of those given to `sample`
        self.unknown = 0  # packets of an SSRC that the answer did not announce, or that are no RTP
        self.early = 0  # such packets before `settle`: media can overtake the answer that announces it
        self._by_ssrc: dict[int, SlotLedger] = {}
        self._by_rtx_ssrc: dict[int, SlotLedger] = {}
        self._map: dict[str, str | None] = {}

    def add(self, slot: SlotLedger, now: float) -> None:
        """The answer announced a receive section; one that is known already is left as it is."""
        if slot.mid in self.slots:
            return
        self.slots[slot.mid] = slot
        self._by_ssrc[slot.ssrc] = slot
        if slot.rtx_ssrc is not None:
            self._by_rtx_ssrc[slot.rtx_ssrc] = slot
        slot.carry(self._map.get(slot.mid), now)

    def map(self, tracks: Mapping[str, str | None], now: float) -> None:
        """The server says which slot carries which track; it may name sections that no answer announced yet."""
        self._map = dict(tracks)
        for mid, slot in self.slots.items():
            slot.carry(tracks.get(mid), now)

    def settle(self) -> None:
        """All is negotiated: from here on nothing may come that no slot is there for, or in another track's slot."""
        self.early += self.unknown
        self.unknown = 0
        self.deliveries.settle()

    def receive(self, data: bytes, now: float) -> None:
        """Take a decrypted RTP packet."""
        try:
            packet = rtp.parse(data)
        except rtp.RtpError:
            self.unknown += 1
            return
        self.packets += 1
        self.bytes += len(data)
        payload, sequence = packet.payload, packet.sequence
        slot = self._by_ssrc.get(packet.ssrc)
        if slot is None:
            slot = self._by_rtx_ssrc.get(packet.ssrc)
            if slot is None:
                self.unknown += 1
                return
            if len(payload) < 2:
                return  # padding that probes the bandwidth
            sequence, payload = payload[0] << 8 | payload[1], payload[2:]
        new = slot.arrived(sequence, now)
        slot.bytes += len(payload)
        if slot.first_packet is None:
            slot.first_packet = now - slot.mapped_at
        if new and slot.kind == "video" and _starts_vp8_keyframe(payload):
            slot.keyframes += 1
            if slot.first_keyframe is None:
                slot.first_keyframe = now - slot.mapped_at
        found = read_tag(payload)
        if found is not None:
            self.deliveries.take(slot.track, *found, now)

    def sample(self, data: bytes, now: float) -> None:
        """Take one decrypted packet of many that were only counted: look whether it is what it should be."""
        self.packets += 1
        try:
            packet = rtp.parse(data)
        except rtp.RtpError:
            self.unknown += 1
            return
        slot = self._by_ssrc.get(packet.ssrc)
        if slot is None or read_tag(packet.payload) is None:
            self.unknown += 1
            return
        self.sampled += 1
        slot.first_packet = slot.first_keyframe = now - slot.mapped_at  # nobody waits for a keyframe here

    def sender_report(self, ssrc: int, ntp: int, now: float) -> None:
        """An SR came: the next report block tells when, for the server's round trip time."""
        slot = self._by_ssrc.get(ssrc)
        if slot is not None:
            slot.last_sr, slot.last_sr_at = ntp >> 16 & 0xFFFFFFFF, now

    def nacks(self, now: float) -> Iterator[tuple[int, list[int]]]:
        """(SSRC, sequence numbers) to ask for now."""
        for slot in self.slots.values():
            asked = slot.nack(now)
            if asked:
                yield slot.ssrc, asked
