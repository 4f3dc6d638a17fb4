"""Whose datagram is it? Nothing is believed of an address until something from it was authentic."""

from __future__ import annotations

from collections.abc import Callable

from . import stun
from .budgets import STRANGE_CHECKS, STRAYS, Budget
from .counters import Counters
from .ice_lite import ufrag_of
from .path import MAX_DATAGRAM_BYTES, Address, MediaSocket, Path
from .peer import Peer
from .probe_answers import ProbeAnswers


class Demux:
    """Sends each datagram to its peer. `on_first_check` hears of the first authentic check of a peer."""

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], float],
        on_first_check: Callable[[Peer], None],
        probes: ProbeAnswers | None = None,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._on_first_check = on_first_check
        self._probes = probes or ProbeAnswers({})
        self._ufrags: dict[str, Peer] = {}
        self._routes: dict[MediaSocket, dict[Address, Peer]] = {}
        self._strays, self._strange_checks = Budget(STRAYS), Budget(STRANGE_CHECKS)

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

    def believes(self, socket: MediaSocket) -> bool:
        """Whether something of what arrives there is believed."""
        return bool(self._routes.get(socket))

    def lost(self, socket: MediaSocket) -> None:
        """Nothing arrives there any more, and nothing can be sent."""
        for address, peer in self._routes.pop(socket, {}).items():
            peer.transport.lost(Path(socket, address))

    def on_datagram(self, socket: MediaSocket, datagram: bytes, address: Address) -> bool:
        """Whether it was of use. RFC 7983 section 7: the first byte tells STUN, DTLS and RTP apart."""
        counters = self._counters
        size = len(datagram)
        counters.packets_received += 1
        counters.bytes_received += size
        if not 2 <= size <= MAX_DATAGRAM_BYTES:
            counters.dropped["size"] += 1
            return False
        first = datagram[0]
        if 127 < first < 192:
            peer = self._routes_of(socket).get(address)
            if peer is not None:
                now = self._clock()
                if not peer.receive(datagram, now):
                    return False
                transport = peer.transport
                if address == transport.address:
                    transport.ice.selected_heard = now
                else:
                    transport.heard_elsewhere(Path(socket, address), now)
                return True
            if self._is_moved_client(socket, datagram, address):
                return True
            counters.dropped["unknown_address"] += 1
        elif first < 4:
            return self._on_stun(socket, datagram, address)
        elif 19 < first < 64:
            peer = self._routes_of(socket).get(address)
            if peer is not None:
                peer.transport.handle_dtls(datagram)
                return True
            counters.dropped["unknown_address"] += 1
        else:
            counters.dropped["not_ours"] += 1
        return False

    def _routes_of(self, socket: MediaSocket) -> dict[Address, Peer]:
        routes = self._routes.get(socket)
        if routes is None:
            routes = self._routes[socket] = {}
        return routes

    def _on_stun(self, socket: MediaSocket, datagram: bytes, address: Address) -> bool:
        dropped = self._counters.dropped
        try:
            ufrag = stun.username_of(datagram) or ufrag_of(datagram[8:20])
            peer = self._ufrags.get(ufrag)
            if peer is None:
                if self._probes.knows(ufrag):
                    return self._on_probe(socket, datagram, address)
                dropped["stun_unexpected_response" if datagram[0] else "stun_unknown_ufrag"] += 1
                return False
            now = self._clock()
            if self._routes_of(socket).get(address) is peer:
                allowed = peer.known_checks.take(now)
            else:
                allowed = peer.strange_checks.take(now) and (not peer.checked or self._strange_checks.take(now))
            if not allowed:
                dropped["stun_over_budget"] += 1
                return False
            check = stun.parse(datagram)
        except stun.StunError:
            dropped["stun_malformed"] += 1
            return False
        if not check.is_request:
            return self._on_response(socket, peer, check, address)
        if not peer.transport.handle_check(check, Path(socket, address), now):
            dropped["stun_unauthentic"] += 1
            return False
        self._routes_of(socket)[address] = peer
        if not peer.checked:
            peer.checked = True
            self._on_first_check(peer)
        return True

    def _on_probe(self, socket: MediaSocket, datagram: bytes, address: Address) -> bool:
        answer = self._probes.answer(datagram, address[:2], self._clock())
        if answer is None:
            self._counters.dropped["probe_refused"] += 1
            return False
        socket.send(answer, address)
        return True

    def _on_response(self, socket: MediaSocket, peer: Peer, response: stun.Binding, address: Address) -> bool:
        if peer.transport.handle_response(response, Path(socket, address), self._clock()):
            self._routes_of(socket)[address] = peer
            return True
        self._counters.dropped["stun_unexpected_response"] += 1
        return False

    def _is_moved_client(self, socket: MediaSocket, datagram: bytes, address: Address) -> bool:
        """Whether an SRTP packet from an unknown address is a client's whose NAT has given it another one.

        Its keys say so: what they authenticate is taken, and makes us check the address. Firefox's next check of its
        own might be five seconds away. Trying costs a decryption, so strangers get few tries.
        """
        now = self._clock()
        if len(datagram) < 12 or not self._strays.take(now):
            return False
        for peer in set(self._ufrags.values()):
            if peer.has_heard(datagram):
                if peer.receive(datagram, now):
                    peer.transport.heard_elsewhere(Path(socket, address), now)
                    return True
                return False
        return False
