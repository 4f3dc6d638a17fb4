"""Whose datagram is it? Nothing is believed of an address until a connectivity check from it was authentic."""

from __future__ import annotations

from collections.abc import Callable

from . import stun
from .counters import Counters
from .peer import Peer
from .transport import Path
from .udp import Address, UdpSocket

# No SRTP or DTLS packet of a browser is larger, and libsrtp takes none that is.
MAX_DATAGRAM_BYTES = 1500


class Demux:
    """Sends each datagram to its peer. `on_first_check` hears of the first authentic check of a peer."""

    def __init__(self, counters: Counters, clock: Callable[[], float], on_first_check: Callable[[Peer], None]) -> None:
        self._counters = counters
        self._clock = clock
        self._on_first_check = on_first_check
        self._ufrags: dict[str, Peer] = {}
        self._routes: dict[UdpSocket, dict[Address, Peer]] = {}

    def register(self, peer: Peer) -> None:
        """Answer checks for the newest ICE credentials of `peer` too."""
        self._ufrags[peer.transport.ice.credentials.ufrag] = peer

    def forget(self, peer: Peer) -> None:
        """Believe nothing of this peer any more."""
        self._ufrags = {ufrag: known for ufrag, known in self._ufrags.items() if known is not peer}
        for socket, routes in self._routes.items():
            self._routes[socket] = {address: known for address, known in routes.items() if known is not peer}

    def prune(self) -> None:
        """Drop the ufrags of ICE generations that ended, and the addresses that peers have moved away from."""
        self._ufrags = {u: peer for u, peer in self._ufrags.items() if u in peer.transport.ice.ufrags}
        for socket, routes in self._routes.items():
            self._routes[socket] = {a: peer for a, peer in routes.items() if Path(socket, a) in peer.transport.paths}

    def on_datagram(self, socket: UdpSocket, datagram: bytes, address: Address) -> None:
        """RFC 7983 section 7: the first byte tells STUN, DTLS and RTP apart."""
        counters = self._counters
        size = len(datagram)
        counters.packets_received += 1
        counters.bytes_received += size
        if not 2 <= size <= MAX_DATAGRAM_BYTES:
            counters.dropped["size"] += 1
            return
        first = datagram[0]
        if 127 < first < 192:
            peer = self._routes_of(socket).get(address)
            if peer is not None:
                peer.receive(datagram, self._clock())
            else:
                counters.dropped["unknown_address"] += 1
        elif first < 4:
            self._on_stun(socket, datagram, address)
        elif 19 < first < 64:
            peer = self._routes_of(socket).get(address)
            if peer is not None:
                peer.transport.handle_dtls(datagram)
            else:
                counters.dropped["unknown_address"] += 1
        else:
            counters.dropped["not_ours"] += 1

    def _routes_of(self, socket: UdpSocket) -> dict[Address, Peer]:
        routes = self._routes.get(socket)
        if routes is None:
            routes = self._routes[socket] = {}
        return routes

    def _on_stun(self, socket: UdpSocket, datagram: bytes, address: Address) -> None:
        dropped = self._counters.dropped
        try:
            check = stun.parse(datagram)
        except stun.StunError:
            dropped["stun_malformed"] += 1
            return
        peer = self._ufrags.get(check.username.partition(":")[0]) if check.is_request else None
        if peer is None:
            dropped["stun_unknown_ufrag"] += 1
            return
        if not peer.transport.handle_check(check, Path(socket, address), self._clock()):
            dropped["stun_unauthentic"] += 1
            return
        self._routes_of(socket)[address] = peer
        if not peer.checked:
            peer.checked = True
            self._on_first_check(peer)
