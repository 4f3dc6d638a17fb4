"""The engine: the MediaPlane of this process, from sockets to events.

Everything runs on one event loop. What a datagram causes is done at once, without await; what it makes us send is
queued per peer and flushed when the batch it came in has been handled.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Self

from .answer import build_answer
from .codec_policy import decodable_by_all
from .connections import Connections, fits
from .counters import Counters
from .event_queue import EventQueue
from .media_plane import (
    Answer,
    MediaError,
    MediaEvent,
    MediaStats,
    PeerId,
    PublishedTrack,
    SpeakersChanged,
    TrackId,
)
from .media_ports import MediaPorts
from .negotiation import Negotiation, decoders
from .offer_reader import OfferReader
from .options import EngineOptions
from .peer import Peer
from .sdp import SdpError
from .speakers import RoomSpeakers
from .switchboard import Member, Switchboard

__all__ = ["Engine", "EngineOptions"]

log = logging.getLogger(__name__)

# The tick repairs losses, so it is short; the rest are multiples of it.
TICK = 0.020
_FEEDBACK_TICKS, _SPEAKER_TICKS, _REPORT_TICKS = 3, 15, 50


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
        self._random_bits = random_bits
        self._offers = OfferReader(options.max_sections, clock)
        self._negotiation = Negotiation(random_bits)
        self._news = asyncio.Event()  # an event waits, or the engine is closed
        self._events = EventQueue(self._news.set)
        self._board = Switchboard(self._events.put, clock)
        self._members = self._board.members
        self._tasks = asyncio.TaskGroup()
        # Reports need seconds since 1970 from a clock that is never set: fix the offset at start.
        wall_offset = wall() - clock()
        self._connections = Connections(
            options,
            self._board,
            self._events,
            self._tasks,
            self.counters,
            clock,
            lambda now: now + wall_offset,
            random_bits,
        )
        self._media_ports: MediaPorts | None = None
        self._speakers = RoomSpeakers()
        self._closed = False
        self._ticks = 0

    # ------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        """Bind the sockets. Raises OSError if an address or the port cannot be had."""
        options = self._options
        connections = self._connections
        self._media_ports = MediaPorts(
            options.addresses,
            options.port,
            options.tcp,
            self.counters,
            connections.demux,
            connections.flush,
            self._clock,
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
        self._events.close()
        self._connections.close()
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
            await self._connections.end(member)

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
        while (before := member.peer) is not None and not fits(before, offer):
            # Nothing of the old connection goes on, but what it publishes under the same name is wanted by the same
            # people.
            wishes |= self._board.wishes_for(member)
            await self._connections.end(member)
            member = self._member(peer)  # it may have been closed while we waited
        connection = self._connections.on_offer(member, offer)
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
            fingerprint=self._connections.certificate.fingerprint,
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
        self._connections.flush()

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
            self._connections.flush()

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
            "media_handshakes_running": float(self._connections.handshakes.running),
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

    def _member(self, peer: PeerId) -> Member:
        try:
            return self._members[peer]
        except KeyError:
            raise MediaError("unknown_peer", f"There is no media peer {peer}.") from None

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
            self._tell_speakers(peers)
        if self._ticks % _REPORT_TICKS == 0:
            for peer in peers:
                peer.rtcp.send_reports(now)
                peer.transport.check_liveness(now)
            self._connections.demux.prune()
            self.ports.sweep(now)
        self._connections.flush()

    def _tell_speakers(self, peers: Sequence[Peer]) -> None:
        levels: dict[str, dict[str, float]] = {}
        for peer in peers:
            in_room = levels.setdefault(peer.room, {})
            for published in peer.published.values():
                if published.kind == "audio":
                    level = published.track.meter.tick()
                    in_room[published.id] = 0.0 if published.track.muted else level
        for room, speakers in self._speakers.changed(levels):
            self._events.put(SpeakersChanged(room, tuple((TrackId(track), level) for track, level in speakers)))
