"""One published track and its fan-out: the fast path of the whole server.

`fan_out` runs once per packet that comes in, its inner loop once per packet that goes out. There is no await, no
task, no lock and no object per packet in it beyond the two byte strings that are sent; `make bench` measures it.
"""

from __future__ import annotations

from collections.abc import Callable

from .budgets import RESTARTS, Budget
from .codecs import CodecKey
from .keyframes import KeyframeRequests
from .loss import LossRepair
from .outbound import HeaderExtensions, OutboundStream, PayloadTypes
from .packet_ring import PacketRing, Stored
from .payloads import starts_keyframe
from .red import relabel
from .reports import Reception
from .rtp import Packet, pack_fixed_header
from .sequence import FIRST_CYCLE, extend
from .speakers import LevelMeter
from .srtp import SrtpError

# Three seconds of a good video, five of audio.
_RING = {"audio": 256, "video": 1024}
# A jump further than this is a source that began anew, not loss: libsrtp's window admits nothing older, and the
# jumps that we pass on, even if some are lost on the way, must not make a receiver miss a roll-over (RFC 3711 3.3.1).
_MAX_JUMP = 1024
# After a silence so long (in seconds) in which more than a few packets were lost, the past is not worth repairing: who
# gets it shows it, and is behind for many seconds.
_OUTAGE, _A_FEW = 0.5, 16


class _Group:
    """Receivers whose packets differ only in SSRC, numbers and key: the rest is made once for all of them."""

    __slots__ = ("extensions", "payload_types", "streams")

    def __init__(self, payload_types: PayloadTypes, extensions: HeaderExtensions) -> None:
        self.payload_types = payload_types
        self.extensions = extensions
        self.streams: list[OutboundStream] = []

    def redundant(self, payload: bytes, primary_at: int) -> tuple[int, bytes]:
        """The payload type and payload under which these receivers take redundant audio, or only its newest block."""
        media, _, red = self.payload_types
        if red is None:
            return media, payload[primary_at:]
        return red, payload if payload[0] & 0x7F == media else relabel(payload, media)


class InboundTrack:
    """A track as its publisher sends it. Times are monotonic seconds."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.codec: CodecKey | None = None
        self.clock_rate = 48000 if kind == "audio" else 90000
        self.ssrc = 0
        self.muted = False
        self.ring = PacketRing(_RING[kind])
        self.reception = Reception(self.clock_rate)
        self.loss = LossRepair()
        self.keyframes = KeyframeRequests()
        self.meter = LevelMeter()
        self.ask_keyframe: Callable[[], None] = nobody
        self.codec_changed: Callable[[], None] = nobody
        self.sync: tuple[float, int] | None = None
        """(our time in seconds since 1970, RTP timestamp) of the last sender report."""
        self.restarts = Budget(RESTARTS)
        self.restart_refused = False  # the last packet would have begun the track anew once too often
        self.last_timestamp = 0
        self.last_at = 0.0
        self._highest = -1
        self._starts_keyframe: Callable[[bytes], bool] = starts_keyframe("")
        self._groups: dict[tuple[PayloadTypes, tuple[int, int], bool], _Group] = {}
        self._running: dict[OutboundStream, _Group] = {}
        self._waiting: dict[OutboundStream, None] = {}

    # ------------------------------------------------------------------------------------------- keyframes

    def want_keyframe(self, now: float) -> None:
        """A receiver needs a keyframe: ask the source, at once or as soon as the limit allows."""
        if self.kind == "video" and not self.muted and self.keyframes.want(now):
            self.ask_keyframe()

    def retry_keyframe(self, now: float) -> None:
        """Ask again if a keyframe is wanted and has not come."""
        if not self.muted and self.keyframes.due(now):
            self.ask_keyframe()

    # ------------------------------------------------------------------------------------------- receivers

    def attach(self, stream: OutboundStream, now: float) -> None:
        """Send to `stream` from the next packet that a decoder can start with."""
        stream.track = self
        self._waiting[stream] = None
        self.want_keyframe(now)

    def mute(self, muted: bool, now: float) -> None:
        """Forward nothing while muted, and begin again with a keyframe."""
        if muted == self.muted:
            return
        self.muted = muted
        if muted:
            self.hold(now)
        elif self._waiting:
            self.want_keyframe(now)

    def detach(self, stream: OutboundStream, now: float) -> None:
        """Send to `stream` no more. A stream that is not attached is ignored."""
        if stream.track is self:
            stream.track = None
        self._waiting.pop(stream, None)
        group = self._running.pop(stream, None)
        if group is None:
            return
        group.streams.remove(stream)
        if not group.streams:
            self._groups = {key: kept for key, kept in self._groups.items() if kept is not group}
        stream.stop(self.last_timestamp, self.last_at)

    def renegotiated(self, stream: OutboundStream, now: float) -> None:
        """The receiver of `stream` may call codecs and header extensions by other names now: go on under those."""
        group = self._running.get(stream)
        names = (stream.codecs.get(self.codec) if self.codec else None, stream.extensions.ids)
        if group is not None and names != (group.payload_types, group.extensions.ids):
            self.detach(stream, now)
            self.attach(stream, now)

    def hold(self, now: float) -> None:
        """Let every stream wait for the next keyframe, as after a mute or a restart of the source."""
        for stream in list(self._running):
            self.detach(stream, now)
            self.attach(stream, now)

    def restart(self, now: float) -> None:
        """The numbers of the packets begin anew: another SSRC, or a source that started over."""
        self.hold(now)
        self._highest = -1
        self.ring = PacketRing(_RING[self.kind])
        self.reception = Reception(self.clock_rate)
        self.loss = LossRepair()

    def set_codec(self, codec: CodecKey, now: float) -> None:
        """The publisher's packets are of `codec` from now on."""
        before, self.codec = self.codec, codec  # this object from now on: the packet path compares by identity
        if codec != before:
            self._starts_keyframe = starts_keyframe(codec.name)
            self.hold(now)
            self.codec_changed()

    def is_newest(self, sequence: int) -> bool:
        """Whether a packet of this number is ahead of all that came."""
        return self._highest < 0 or extend(sequence, self._highest) > self._highest

    def _start(self, stream: OutboundStream, number: int, timestamp: int, now: float) -> None:
        payload_types = stream.codecs.get(self.codec) if self.codec else None
        if payload_types is None:  # nothing it could decode; it waits for the codec that it was attached for
            return
        del self._waiting[stream]
        key = (payload_types, stream.extensions.ids, stream.seal is not None)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(payload_types, stream.extensions)
        group.streams.append(stream)
        self._running[stream] = group
        stream.start(self, number, timestamp, payload_types, now)

    # ------------------------------------------------------------------------------------------- packets

    def receive(
        self,
        packet: Packet,
        level: int,
        orientation: int,
        now: float,
        *,
        repaired: bool = False,
        primary_at: int = 0,
    ) -> bool:
        """Take one packet, first-hand or repaired, and forward it. False if it is a duplicate or far too late.

        `level` and `orientation` are header extension bytes or -1; `primary_at` is where the primary block begins if
        the payload is redundant audio, else 0.
        """
        highest = self._highest
        number = extend(packet.sequence, highest)
        if highest < 0 or abs(number - highest) > _MAX_JUMP:
            if repaired:  # it repeats what was sent before, so it cannot tell where the source is now
                return False
            if highest >= 0:
                if not self.restarts.take(now):
                    self.restart_refused = True
                    return False
                self.restart(now)
            number = FIRST_CYCLE + packet.sequence
            highest = number - 1
        ahead = number - highest
        if ahead > 0:
            if ahead > 1 and self.kind == "video":
                self._skipped(highest + 1, number, now)
            self._highest = number
        else:
            self.loss.arrived(number)
        timestamp, payload = packet.timestamp, packet.payload
        if not self.ring.store(Stored(number, packet.marker, timestamp, level, orientation, payload, primary_at)):
            return False
        self.reception.packet(number, timestamp, now)
        if level >= 0:
            self.meter.packet(level)
        # With a late packet nobody starts: what followed it is gone. So it is no answer to who waits for a keyframe.
        startable = ahead > 0 and self._starts_keyframe(payload)
        if startable:
            self.keyframes.arrived()
        if self.muted:
            return True
        if ahead > 0:
            self.last_timestamp = timestamp
            self.last_at = now
        if startable and self._waiting:
            for stream in list(self._waiting):
                self._start(stream, number, timestamp, now)
        self.fan_out(number, packet.marker, timestamp, level, orientation, payload, primary_at)
        return True

    def _skipped(self, first: int, end: int, now: float) -> None:
        """Repair the packets from `first` up to but not including `end`, or begin anew with a keyframe."""
        if end - first > _A_FEW and now - self.last_at > _OUTAGE:
            self.loss.give_up()
            self.want_keyframe(now)
        elif not self.loss.gap(first, end, now):
            self.want_keyframe(now)

    def fan_out(
        self,
        number: int,
        marker: int,
        timestamp: int,
        level: int,
        orientation: int,
        received: bytes,
        primary_at: int = 0,
    ) -> None:
        """Write, encrypt and queue one packet for every running stream."""
        pack = pack_fixed_header
        payload, size = received, len(received)
        for group in self._groups.values():
            extensions = group.extensions.block(level, orientation)
            first = 0x90 if extensions else 0x80
            payload_type = group.payload_types.media
            if primary_at:
                payload_type, payload = group.redundant(received, primary_at)
                size = len(payload)
            second = marker | payload_type
            for stream in group.streams:
                out = number + stream.number_offset
                if out == stream.next_number:
                    stream.next_number = out + 1
                elif not stream.claim(out):
                    continue
                header = (
                    pack(first, second, out & 0xFFFF, (timestamp + stream.timestamp_offset) & 0xFFFFFFFF, stream.ssrc)
                    + extensions
                )
                seal = stream.seal
                if seal is not None:
                    datagram = header + seal((stream.iv_base ^ out).to_bytes(12, "big"), payload, header)
                else:
                    try:
                        datagram = stream.protect(header + payload)
                    except SrtpError:  # larger than libsrtp takes; the other receivers have no part in that
                        continue
                queue = stream.queue
                if not queue:
                    stream.mark_dirty()
                queue.append(datagram)
                stream.packets += 1
                stream.octets += size


def nobody() -> None:
    """The publisher is not there yet, and its first frame is a keyframe anyway; or it is gone."""
