"""The transport of one peer: ICE-lite chooses the path, DTLS gives the keys, and then SRTP flows on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from . import stun
from .counters import Counters
from .dtls import Certificate, DtlsEndpoint, DtlsError, DtlsTimeout
from .ice_lite import CLOSED_AFTER, DISCONNECTED_AFTER, Credentials, IceLite, RandomBits
from .media_plane import PeerState
from .path import Address, Path
from .srtp import Session, SrtpError

log = logging.getLogger(__name__)

# A client tries each of its interfaces and each of ours; those heard of longest ago make room for new ones.
_MAX_PATHS = 32
# Of these on TCP, each a connection that costs a file descriptor: two interfaces, and four addresses of ours.
_MAX_CONNECTIONS = 8


class PeerTransport:
    """`queue` holds encrypted datagrams until `flush`.

    `dirty` is the list of transports to flush after the batch at hand; `on_state` hears of every change.
    """

    def __init__(
        self,
        credentials: Credentials,
        remote: Credentials,
        fingerprints: Sequence[tuple[str, str]],
        certificate: Certificate,
        counters: Counters,
        dirty: list[PeerTransport],
        on_state: Callable[[PeerState, str], None],
        random_bits: RandomBits,
        now: float,
    ) -> None:
        self.ice: IceLite[Path] = IceLite(credentials, remote, random_bits, now)
        self.fingerprints = tuple(fingerprints)
        self.state: PeerState = "new"
        self.srtp: Session | None = None
        self.queue: list[bytes] = []
        self.paths: dict[Path, None] = {}  # that checks were authentic on; the least recent first
        self._dirty = dirty
        self._counters = counters
        self._on_state = on_state
        self._path: Path | None = None  # where we send: the nominated one, before that the last authentic one
        self._dtls = DtlsEndpoint(certificate, "server", self._send_dtls, self._dtls_closed)

    # ------------------------------------------------------------------------------------------- ICE

    def handle_check(self, check: stun.Binding, path: Path, now: float) -> bool:
        """Answer a connectivity check. True if it was authentic, so that its path may be believed."""
        verdict = self.ice.handle_check(check, path, path.address[:2], now)
        if verdict is None:
            return False
        path.socket.send(verdict.response, path.address)
        if not verdict.authentic:
            return False
        if verdict.check is not None:
            path.socket.send(verdict.check, path.address)
        self._counters.checks_answered += 1
        self._path = self.ice.selected or path
        self._remember(path)
        if self.state == "disconnected":
            self._set_state("connected", "connectivity checks arrive again")
        return True

    def _remember(self, path: Path) -> None:
        self.paths.pop(path, None)
        self.paths[path] = None
        if len(self.paths) > _MAX_PATHS:
            del self.paths[next(known for known in self.paths if known not in (path, self._path))]
        if path.on_tcp:
            connections = [known for known in self.paths if known.on_tcp and known not in (path, self._path)]
            for known in connections[: max(0, len(connections) + 2 - _MAX_CONNECTIONS)]:
                del self.paths[known]

    def lost(self, path: Path) -> None:
        """Nothing arrives on this path any more: another one may be used at once."""
        self.paths.pop(path, None)
        self.ice.lost(path)

    def handle_response(self, response: stun.Binding, path: Path, now: float) -> bool:
        """An answer to a check of ours. True if it is authentic: `path` may be believed, and media goes there."""
        if not self.ice.handle_response(response, path, now):
            return False
        if path != self._path:
            log.info("media moves to another address of the same client")
            self._counters.paths_moved += 1
        self._path = path
        self.paths[path] = None
        return True

    @property
    def path(self) -> Path | None:
        """Where media goes to, once the client has nominated a path and until it is gone."""
        return self._path if self.ice.selected is not None and self.state not in ("closed", "failed") else None

    @property
    def address(self) -> Address:
        """Where media goes to; None before the first check."""
        return self._path.address if self._path is not None else None

    def heard_elsewhere(self, path: Path, now: float) -> None:
        """An authentic SRTP packet arrived on a path that is not the one in use, and need not be known."""
        check = self.ice.consider(path, now)
        if check is not None:
            path.socket.send(check, path.address)

    def repeat_checks(self, now: float) -> None:
        """Send again what the client has not answered."""
        for path, datagram in self.ice.due(now):
            path.socket.send(datagram, path.address)

    def check_liveness(self, now: float) -> None:
        """Notice a peer that fell silent (RFC 7675: consent is what its checks renew)."""
        silence = now - self.ice.heard_at
        if silence > CLOSED_AFTER:
            self._set_state("closed", f"no connectivity check for {CLOSED_AFTER:.0f} s")
        elif silence > DISCONNECTED_AFTER and self.state == "connected":
            self._set_state("disconnected", f"no connectivity check for {DISCONNECTED_AFTER:.0f} s")

    # ------------------------------------------------------------------------------------------- DTLS

    def handle_dtls(self, datagram: bytes) -> None:
        """Take a DTLS record from a path that was believed."""
        self._dtls.feed(datagram)

    async def handshake(self) -> None:
        """Get keys; run once, when the first check was authentic. Raises nothing but cancellation."""
        self._set_state("connecting", "the first connectivity check arrived")
        try:
            keys = await self._dtls.handshake(self.fingerprints)
        except DtlsError as error:
            self._counters.handshakes_failed += 1
            self._counters.refused["handshake_too_slow"] += isinstance(error, DtlsTimeout)
            self._set_state("failed", f"DTLS: {error}")
            return
        except Exception as error:  # whatever the other side provoked inside the library ends only itself
            log.exception("DTLS handshake")
            self._counters.handshakes_failed += 1
            self._set_state("failed", f"DTLS: {error!r}")
            return
        self._counters.handshakes_succeeded += 1
        self.srtp = Session(keys)
        self.ice.proven = True
        self._set_state("connected", f"DTLS done, {keys.profile}")

    def _send_dtls(self, datagram: bytes) -> None:
        if self._path is not None:
            self._path.socket.send(datagram, self._path.address)

    def _dtls_closed(self) -> None:
        self._set_state("closed", "the client closed its connection")

    # ------------------------------------------------------------------------------------------- SRTP

    @property
    def mark_dirty(self) -> Callable[[], None]:
        """What a stream calls that puts something into the empty queue.

        It is made for each stream anew: one kept here would keep the transport, beyond its end.
        """
        return partial(self._dirty.append, self)

    def send_rtcp(self, packet: bytes) -> None:
        """Queue a compound RTCP packet. Dropped while there are no keys or no consent to send."""
        if self.srtp is None or self.state != "connected":
            return
        try:
            protected = self.srtp.protect_rtcp(packet)
        except SrtpError as error:
            log.warning("RTCP of %d bytes: %s", len(packet), error)
            return
        if not self.queue:
            self._dirty.append(self)
        self.queue.append(protected)

    def flush(self) -> None:
        """Send what is queued, or drop it: RFC 7675 section 5.1 forbids sending without consent."""
        path = self._path
        if path is not None and self.state == "connected":
            path.socket.send_queue(self.queue, path.address)
        self.queue.clear()

    async def close(self) -> None:
        """Tell the client by DTLS that it is over."""
        self._on_state = _ignore
        self._set_state("closed", "closed here")
        await self._dtls.close()

    def _set_state(self, state: PeerState, reason: str) -> None:
        if state == self.state or self.state in ("closed", "failed"):
            return
        self.state = state
        self._on_state(state, reason)


def _ignore(_state: PeerState, _reason: str) -> None:
    pass
