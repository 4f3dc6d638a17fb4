"""One peer: the tracks it publishes, the slots it receives in, and whether what arrives for it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from . import red, rtcp, rtp
from .budgets import (
    CHECKS,
    PUBLISHED_KBPS,
    PUBLISHED_PACKETS_PER_SECOND,
    RTCP_BYTES_PER_SECOND,
    RTCP_PACKETS_PER_SECOND,
    Allowance,
    Budget,
)
from .codecs import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC, VIDEO_ORIENTATION
from .counters import Counters
from .inbound import nobody
from .media_plane import PeerId
from .outbound import OutboundStream
from .published import Published
from .rtcp_exchange import RtcpExchange
from .rtp import Packet
from .slots import SlotPool
from .sources import Sources, unwrap_rtx
from .srtp import SrtpError
from .transport_cc import FeedbackRecorder

if TYPE_CHECKING:
    from .transport import PeerTransport

# libsrtp keeps a context for each SSRC that ever authenticated.
_MAX_HEARD: Final = 1024


class Peer:
    """`wall` turns the monotonic `now` of the methods into seconds since 1970.

    `publish_kbps` is how much it may send us; what is above that is dropped before it is decrypted.
    """

    def __init__(
        self,
        peer_id: PeerId,
        room: str,
        transport: PeerTransport,
        pool: SlotPool[OutboundStream],
        rtcp_ssrc: int,
        counters: Counters,
        wall: Callable[[float], float],
        publish_kbps: int = PUBLISHED_KBPS,
    ) -> None:
        self.id = peer_id
        self.room = room
        self.transport = transport
        self.pool = pool
        self.published: dict[str, Published] = {}
        self.streams: dict[int, OutboundStream] = {}
        self.slots: dict[str, OutboundStream] = {}
        self.checked = False  # by a first authentic connectivity check
        # Strangers who know our name must not silence the checks from where we know the client to be.
        self.known_checks, self.strange_checks = Budget(CHECKS), Budget(CHECKS)
        self.sources = Sources(self.published, counters)
        self._by_ssrc = self.sources.by_ssrc
        self._feedback = FeedbackRecorder()
        self.rtcp = RtcpExchange(
            transport, rtcp_ssrc, self.published, self.streams, self._by_ssrc, self._feedback, counters, wall
        )
        self._transport_cc_id = 0
        self._heard: set[bytes] = set()
        self._counters = counters
        self._rtp_allowance = Allowance(PUBLISHED_PACKETS_PER_SECOND, publish_kbps * 125)
        self._rtcp_allowance = Allowance(RTCP_PACKETS_PER_SECOND, RTCP_BYTES_PER_SECOND)

    # ------------------------------------------------------------------------------------------- sections

    def publish(
        self, published: Published, ssrcs: Mapping[int, int | None], extensions: Mapping[str, int], now: float
    ) -> None:
        """A section was accepted for publishing; `ssrcs` are those its offer announced, media -> RTX."""
        self.published[published.mid] = published
        published.level_id = extensions.get(AUDIO_LEVEL, 0)
        published.orientation_id = extensions.get(VIDEO_ORIENTATION, 0)
        self.sources.mid_id = extensions.get(MID, self.sources.mid_id)
        self._transport_cc_id = extensions.get(TRANSPORT_WIDE_CC, self._transport_cc_id)
        published.track.ask_keyframe = partial(self.rtcp.request_keyframe, published.track)
        self.sources.announce(published, ssrcs, now)

    def unpublish(self, mid: str) -> Published | None:
        """The section publishes no longer."""
        published = self.published.pop(mid, None)
        if published is not None:
            # Else each would keep the other: the exchange has our tracks, and would be in one of them.
            published.track.ask_keyframe = nobody
            self.sources.forget(published)
        return published

    def connect_slot(self, stream: OutboundStream) -> None:
        """Give a slot the keys, if there are keys yet."""
        if self.transport.srtp is not None:
            stream.connect(self.transport.srtp, self.transport.queue, self.transport.mark_dirty)

    # ------------------------------------------------------------------------------------------- packets in

    def has_heard(self, datagram: bytes) -> bool:
        """Whether an SRTP or SRTCP packet (at least 12 bytes) names a source that was authentic here before."""
        return (datagram[4:8] if rtp.is_rtcp(datagram) else datagram[8:12]) in self._heard

    def receive(self, datagram: bytes, now: float) -> bool:
        """Take an SRTP or SRTCP packet (at least two bytes). True if it was authentic."""
        srtp = self.transport.srtp
        dropped = self._counters.dropped
        if srtp is None:
            dropped["before_keys"] += 1
            return False
        is_rtcp = rtp.is_rtcp(datagram)
        size = len(datagram)
        allowance = self._rtcp_allowance if is_rtcp else self._rtp_allowance
        allowance.packets -= 1
        allowance.bytes -= size
        if (allowance.packets < 0 or allowance.bytes < 0) and not allowance.refill(size, now):
            dropped["rtcp_rate" if is_rtcp else "publish_rate"] += 1
            return False
        ssrc = datagram[4:8] if is_rtcp else datagram[8:12]
        if ssrc not in self._heard and len(self._heard) >= _MAX_HEARD:
            dropped["too_many_ssrcs"] += 1
            return False
        try:
            if is_rtcp:
                plain = srtp.unprotect_rtcp(datagram)
                self._heard.add(ssrc)
                for item in rtcp.parse(plain):
                    self.rtcp.handle(item, now)
            else:
                plain = srtp.unprotect_rtp(datagram)
                self._heard.add(ssrc)
                self._receive_rtp(rtp.parse(plain), now)
        except SrtpError:
            dropped["srtp_unauthentic_or_replayed"] += 1
            return False
        except rtp.RtpError:
            dropped["rtp_malformed"] += 1
        except rtcp.RtcpError:
            dropped["rtcp_malformed"] += 1
        return True

    def _receive_rtp(self, packet: Packet, now: float) -> None:
        number = packet.extensions.get(self._transport_cc_id)
        if number is not None and len(number) == 2:
            self._feedback.received(number[0] << 8 | number[1], now)
        source = self._by_ssrc.get(packet.ssrc) or self.sources.resolve(packet, now)
        if source is None:
            return
        published = source.published
        if source.repairs:
            restored = unwrap_rtx(packet, published)
            if restored is None:
                return
            packet = restored
        payload_type = packet.payload_type
        primary_at = 0
        if payload_type in published.red_formats:
            payload_type = published.red_formats[payload_type]
            try:
                primary_at = red.primary_at(packet.payload, payload_type)
            except red.RedError:
                self._counters.dropped["red_malformed"] += 1
                return
        codec = published.formats.get(payload_type)
        if codec is None:
            self._counters.dropped["unknown_payload_type"] += 1
            return
        track = published.track
        # A late or repaired packet may be of the codec before.
        if codec is not track.codec and not source.repairs and track.is_newest(packet.sequence):
            if codec != track.codec and not track.restarts.take(now):
                self._counters.dropped["source_restarts"] += 1
                return
            track.set_codec(codec, now)
        level = packet.extensions.get(published.level_id)
        orientation = packet.extensions.get(published.orientation_id)
        fresh = track.receive(
            packet,
            level[0] if level else -1,
            orientation[0] if orientation else -1,
            now,
            repaired=source.repairs,
            primary_at=primary_at,
        )
        if not fresh:
            self._counters.dropped["source_restarts" if track.restart_refused else "duplicate_or_late"] += 1
            track.restart_refused = False
        elif source.repairs:
            self._counters.packets_repaired += 1
