"""The connections of members: made by an offer, shaken hands with, flushed after each batch, ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from .counters import Counters
from .demux import Demux
from .dtls import Certificate
from .event_queue import EventQueue
from .handshakes import Handshakes
from .ice_lite import Credentials, RandomBits, new_credentials
from .media_plane import PeerState, PeerStateChanged
from .options import EngineOptions
from .outbound import OutboundStream
from .peer import Peer
from .probe_answers import ProbeAnswers
from .sdp import Offer
from .slots import SlotPool
from .switchboard import Member, Switchboard
from .transport import PeerTransport

log = logging.getLogger(__name__)


class Connections:
    """The members are the board's. `tasks` runs the handshakes; `wall` is as for Peer."""

    def __init__(
        self,
        options: EngineOptions,
        board: Switchboard,
        events: EventQueue,
        tasks: asyncio.TaskGroup,
        counters: Counters,
        clock: Callable[[], float],
        wall: Callable[[float], float],
        random_bits: RandomBits,
    ) -> None:
        self.demux = Demux(counters, clock, self._on_first_check, ProbeAnswers(options.probes))
        self.certificate = Certificate()
        self.handshakes = Handshakes(counters)
        self._options = options
        self._board = board
        self._events = events
        self._tasks = tasks
        self._counters = counters
        self._clock, self._wall, self._random_bits = clock, wall, random_bits
        self._dirty: list[PeerTransport] = []
        self._closed = False

    def on_offer(self, member: Member, offer: Offer) -> Peer:
        """The connection that the offer is about: the member's own, whose ICE it may restart, or a new one."""
        peer = member.peer
        if peer is None:
            peer = self._open(member, offer)
        elif offer.ice_ufrag != member.remote_ufrag:
            peer.transport.ice.restart(new_credentials(self._random_bits), _remote(offer))
            self.demux.register(peer)
        member.remote_ufrag = offer.ice_ufrag
        return peer

    def _open(self, member: Member, offer: Offer) -> Peer:
        transport = PeerTransport(
            new_credentials(self._random_bits),
            _remote(offer),
            offer.fingerprints,
            self.certificate,
            self._counters,
            self._dirty,
            partial(self._on_state, member),
            self._random_bits,
            self._clock(),
        )
        pool: SlotPool[OutboundStream] = SlotPool(self._options.most_slots, member.wishes)
        peer = Peer(
            member.id,
            member.room,
            transport,
            pool,
            self._random_bits(31) + 1,
            self._counters,
            self._wall,
            self._options.publish_kbps,
        )
        member.peer = peer
        member.asked = (0, 0)
        self.demux.register(peer)
        return peer

    async def end(self, member: Member) -> None:
        """End the member's connection: its tracks leave every slot, its addresses and names are forgotten."""
        if (peer := member.peer) is None:
            return
        self._events.forget_states(member.id)  # a word about this connection must not end the next one
        self._board.disconnected(member)
        self.demux.forget(peer)
        await peer.transport.close()

    def close(self) -> None:
        """Shake hands with nobody any more."""
        self._closed = True

    def flush(self) -> None:
        """Send what the batch at hand has queued."""
        if self._dirty:
            dirty, self._dirty[:] = self._dirty[:], []
            for transport in dirty:
                transport.flush()

    # ------------------------------------------------------------------------------------------- what happens to them

    def _on_first_check(self, peer: Peer) -> None:
        if not self._closed:
            self._tasks.create_task(self._handshake(peer), name=f"handshake {peer.id}")

    async def _handshake(self, peer: Peer) -> None:
        try:
            async with self.handshakes.turn(peer.room):
                await peer.transport.handshake()
        except Exception:  # a fault on the way to one connection must not end the group, and with it every call
            self._counters.media_internal_errors += 1
            log.exception("peer %s", peer.id)

    def _on_state(self, member: Member, state: PeerState, reason: str) -> None:
        log.info("peer %s: %s (%s)", member.id, state, reason)
        self._events.put(PeerStateChanged(member.id, state, reason))
        if state == "connected":
            self._board.connected(member)
            self.flush()
        elif state in ("disconnected", "failed", "closed"):
            self._board.paused(member)


def fits(peer: Peer, offer: Offer) -> bool:
    """Whether the connection can go on as the offer says: another certificate is another RTCPeerConnection."""
    return peer.transport.fingerprints == offer.fingerprints and peer.transport.state not in ("closed", "failed")


def _remote(offer: Offer) -> Credentials:
    return Credentials(offer.ice_ufrag, offer.ice_pwd)
