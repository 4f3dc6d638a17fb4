"""The engine: the MediaPlane of this process, from sockets to events.

Everything runs on one event loop. What a datagram causes is done at once, without await; what it makes us send is
queued per peer and flushed when the batch it came in has been handled.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from .addresses import LocalAddress
from .answer import build_answer
from .budgets import PUBLISHED_KBPS
from .codec_policy import decodable_by_all
from .counters import Counters
from .demux import Demux
from .dtls import Certificate
from .event_queue import EventQueue
from .handshakes import Handshakes
from .ice_lite import Credentials, new_credentials
from .media_plane import (
    Answer,
    Kind,
    MediaError,
    MediaEvent,
    MediaStats,
    PeerId,
    PeerState,
    PeerStateChanged,
    PublishedTrack,
    SpeakersChanged,
    TrackId,
)
from .media_ports import MediaPorts
from .negotiation import Negotiation, decoders
from .offer_reader import OfferReader
from .outbound import OutboundStream
from .peer import Peer
from .probe_answers import ProbeAnswers
from .sdp import Offer, SdpError
from .slots import SlotPool
from .speakers import ranking
from .switchboard import Member, Switchboard
from .transport import PeerTransport

log = logging.getLogger(__name__)

# The tick repairs losses, so it is short; the rest are multiples of it.
TICK = 0.020
_FEEDBACK_TICKS, _SPEAKER_TICKS, _REPORT_TICKS = 3, 15, 50


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an operator may set. `port` 0 takes any free one, with `tcp` for TCP too; `start_bitrate_kbps` is the hint
    in answers, `publish_kbps` how much one peer may send us."""

    addresses: Sequence[LocalAddress]
    port: int = 0
    tcp: bool = True
    most_slots: Mapping[Kind, int] = field(default_factory=lambda: {"audio": 32, "video": 32})
    max_sections: int = 128
    start_bitrate_kbps: int | None = 1000
    publish_kbps: int = PUBLISHED_KBPS
    probes: Mapping[str, str] = field(default_factory=dict, repr=False)  # passwords by ufrag of who probes relays


class Engine:
    """Use as `async with Engine(options) as media:`; satisfies MediaPlane."""

    def __init__(
        self,
        options: EngineOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self.counters = Counters()
        self._options = options
        self._clock = clock
        # Reports need seconds since 1970 from a clock that is never set: fix the offset at start.
        wall_offset = wall() - clock()
        self._wall: Callable[[float], float] = lambda now: now + wall_offset
        self._random_bits = random_bits
        self._negotiation = Negotiation(random_bits)
        self._certificate = Certificate()
        self._media_ports: MediaPorts | None = None
        self._board = Switchboard(self._emit, clock)
        self._members = self._board.members
        self._demux = Demux(self.counters, clock, self._on_first_check, ProbeAnswers(options.probes))
        self._dirty: list[PeerTransport] = []
        self._offers = OfferReader(options.max_sections)
        self._handshakes = Handshakes(self.counters)
        self._events = EventQueue()
        self._news = asyncio.Event()  # an event waits, or the engine is closed
        self._speakers: dict[str, tuple[tuple[str, float], ...]] = {}
        self._tasks = asyncio.TaskGroup()
        self._closed = False
        self._ticks = 0

    # ------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        """Bind the sockets. Raises OSError if an address or the port cannot be had."""
        options = self._options
        self._media_ports = MediaPorts(
            options.addresses, options.port, options.tcp, self.counters, self._demux, self._flush, self._clock
        )
        self._media_ports.open()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._tick_forever(), name="media tick")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        await self._tasks.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close every peer and release the sockets; may be called twice."""
        if self._closed:
            return
        self._closed = True
        for peer_id in list(self._members):
            await self.close_peer(peer_id)
        self.ports.close()
        self._news.set()

    @property
    def port(self) -> int:
        """The number of the UDP port in use, and of the TCP port."""
        return self.ports.number

    @property
    def ports(self) -> MediaPorts:
        """Where media arrives. Raises RuntimeError outside of the block."""
        if self._media_ports is None:
            raise RuntimeError("the engine is used outside of its block")
        return self._media_ports

    # ------------------------------------------------------------------------------------------- verbs

    async def open_peer(self, peer: PeerId, room: str) -> None:
        """See MediaPlane."""
        self._members.setdefault(peer, Member(peer, room, self._random_bits(62)))

    async def close_peer(self, peer: PeerId) -> None:
        """See MediaPlane."""
        member = self._members.pop(peer, None)
        if member is not None:
            await self._disconnect(member)

    async def answer(self, peer: PeerId, sdp: str, tracks: Sequence[PublishedTrack]) -> Answer:
        """See MediaPlane."""
        self._member(peer)
        try:
            offer = await self._offers.read(sdp)
        except SdpError as error:
            self.counters.refused[error.code] += 1
            raise MediaError(error.code, str(error)) from None
        member = self._member(peer)  # it may have been closed while we read
        wishes: dict[TrackId, list[Member]] = {}
        while (connection := member.peer) is not None and (
            connection.transport.fingerprints != offer.fingerprints
            or connection.transport.state in ("closed", "failed")
        ):
            # Another certificate is another RTCPeerConnection: nothing of the old one goes on,
            # but what it publishes under the same name is wanted by the same people.
            wishes |= self._board.wishes_for(member)
            await self._disconnect(member)
            member = self._member(peer)  # it may have been closed while we waited
        if connection is None:
            connection = self._connect(member, offer)
        elif offer.ice_ufrag != member.remote_ufrag:
            connection.transport.ice.restart(new_credentials(self._random_bits), _remote(offer))
            self._demux.register(connection)
        member.remote_ufrag = offer.ice_ufrag
        wanted = {track.mid: track.track for track in tracks}
        dtx = {track.mid for track in tracks if track.dtx}
        allowed = decodable_by_all(decoders(self._board.roommates(member)))
        outcome = self._negotiation.apply(connection, offer, wanted, allowed, self._clock(), dtx)
        for published in outcome.ended:
            self._board.end(published.id)
        for published in outcome.started:
            self._board.tracks[published.id] = (member, published)
            published.track.codec_changed = partial(self._board.codec_changed, published.id)
            self._board.want_again(published.id, wishes.get(published.id, []))
        self._board.renegotiated(member)
        member.session_version += 1
        credentials = connection.transport.ice.credentials
        text = build_answer(
            offer,
            outcome.plans,
            ice_ufrag=credentials.ufrag,
            ice_pwd=credentials.password,
            fingerprint=self._certificate.fingerprint,
            candidates=self.ports.candidates(),
            session_id=member.session_id,
            session_version=member.session_version,
            start_bitrate_kbps=self._options.start_bitrate_kbps,
        )
        return Answer(text, tuple(outcome.accepted), outcome.rejected)

    async def subscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        """See MediaPlane."""
        member = self._member(peer)
        for track in tracks:
            self._board.want(member, track)
        self._board.reseat(member)
        self._flush()

    async def unsubscribe(self, peer: PeerId, tracks: Sequence[TrackId]) -> None:
        """See MediaPlane."""
        member = self._member(peer)
        for track in tracks:
            self._board.drop(member, track)
        self._board.reseat(member)

    async def set_muted(self, track: TrackId, muted: bool) -> None:
        """See MediaPlane."""
        found = self._board.tracks.get(track)
        if found is not None:
            found[1].track.mute(muted, self._clock())
            self._flush()

    async def stats(self) -> MediaStats:
        """See MediaPlane."""
        connections = [member.peer for member in self._members.values() if member.peer]
        paths = [peer.transport.path for peer in connections]
        gauges = {
            "media_peers": float(len(connections)),
            "media_peers_connected": float(sum(peer.transport.state == "connected" for peer in connections)),
            "media_peers_on_tcp": float(sum(bool(path and path.on_tcp) for path in paths)),
            "media_tracks": float(len(self._board.tracks)),
            "media_slots": float(sum(len(peer.slots) for peer in connections)),
            "media_handshakes_running": float(self._handshakes.running),
            "tasks": float(len(asyncio.all_tasks())),
        }
        counters = self.counters.export() | self.ports.counts()
        return MediaStats(counters, gauges | self.ports.gauges())

    async def events(self) -> AsyncIterator[MediaEvent]:
        """See MediaPlane."""
        while True:
            while (event := self._events.take()) is not None:
                yield event
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    # ------------------------------------------------------------------------------------------- connections

    def _member(self, peer: PeerId) -> Member:
        try:
            return self._members[peer]
        except KeyError:
            raise MediaError("unknown_peer", f"There is no media peer {peer}.") from None

    def _connect(self, member: Member, offer: Offer) -> Peer:
        now = self._clock()
        transport = PeerTransport(
            new_credentials(self._random_bits),
            _remote(offer),
            offer.fingerprints,
            self._certificate,
            self.counters,
            self._dirty,
            lambda state, reason: self._on_state(member, state, reason),
            self._random_bits,
            now,
        )
        pool: SlotPool[OutboundStream] = SlotPool(self._options.most_slots)
        peer = Peer(
            member.id,
            member.room,
            transport,
            pool,
            self._random_bits(31) + 1,
            self.counters,
            self._wall,
            self._options.publish_kbps,
        )
        for track, wish in member.wishes.items():
            pool.want(track, wish)
        member.peer = peer
        member.asked = (0, 0)
        self._demux.register(peer)
        return peer

    async def _disconnect(self, member: Member) -> None:
        """End the member's connection: its tracks leave every slot, its addresses and names are forgotten."""
        if (peer := member.peer) is None:
            return
        self._events.forget_states(member.id)  # a word about this connection must not end the next one
        self._board.disconnected(member)
        self._demux.forget(peer)
        await peer.transport.close()

    def _on_first_check(self, peer: Peer) -> None:
        if not self._closed:
            self._tasks.create_task(self._handshake(peer), name=f"handshake {peer.id}")

    async def _handshake(self, peer: Peer) -> None:
        try:
            async with self._handshakes.turn(peer.room):
                await peer.transport.handshake()
        except Exception:  # a fault on the way to one connection must not end the group, and with it every call
            self.counters.media_internal_errors += 1
            log.exception("peer %s", peer.id)

    def _on_state(self, member: Member, state: PeerState, reason: str) -> None:
        log.info("peer %s: %s (%s)", member.id, state, reason)
        self._emit(PeerStateChanged(member.id, state, reason))
        if state == "connected":
            self._board.connected(member)
            self._flush()
        elif state in ("disconnected", "failed", "closed"):
            self._board.paused(member)

    def _emit(self, event: MediaEvent) -> None:
        if not self._closed:
            self._events.put(event)
            self._news.set()

    def _flush(self) -> None:
        """Send what the batch at hand has queued."""
        if self._dirty:
            dirty, self._dirty[:] = self._dirty[:], []
            for transport in dirty:
                transport.flush()

    # ------------------------------------------------------------------------------------------- time

    async def _tick_forever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._closed:
            # Late ticks are not made up for: after a stall one is enough.
            due = max(due + TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                self.tick(self._clock())
            except Exception:  # a fault in one tick must not end every call
                self.counters.media_internal_errors += 1
                log.exception("media tick")

    def tick(self, now: float) -> None:
        """What has to be done now and then. Call it every TICK seconds."""
        self._ticks += 1
        self._board.start_ready(now)
        peers = [member.peer for member in self._members.values() if member.peer is not None]
        for peer in peers:
            peer.rtcp.repair(now)
            peer.transport.repeat_checks(now)
        if self._ticks % _FEEDBACK_TICKS == 0:
            self._board.follow_moves(now)
            self.ports.give_queues((path for peer in peers if (path := peer.transport.path) is not None), now)
            for peer in peers:
                peer.rtcp.send_feedback()
        if self._ticks % _SPEAKER_TICKS == 0:
            self._update_speakers(peers)
        if self._ticks % _REPORT_TICKS == 0:
            for peer in peers:
                peer.rtcp.send_reports(now)
                peer.transport.check_liveness(now)
            self._demux.prune()
            self.ports.sweep(now)
        self._flush()

    def _update_speakers(self, peers: Sequence[Peer]) -> None:
        levels: dict[str, dict[str, float]] = {}
        for peer in peers:
            in_room = levels.setdefault(peer.room, {})
            for published in peer.published.values():
                if published.kind == "audio":
                    level = published.track.meter.tick()
                    in_room[published.id] = 0.0 if published.track.muted else level
        for gone in self._speakers.keys() - levels.keys():
            del self._speakers[gone]
        for room, found in levels.items():
            speakers = ranking(found)
            if speakers != self._speakers.get(room, ()):
                self._speakers[room] = speakers
                self._emit(SpeakersChanged(room, tuple((TrackId(track), level) for track, level in speakers)))


def _remote(offer: Offer) -> Credentials:
    return Credentials(offer.ice_ufrag, offer.ice_pwd)
