"""One peer's UDP socket: ICE checks as the controlling side, DTLS as the client, SRTP both ways.

A transport knows nothing of tracks. It calls back with decrypted packets and sends what it is given.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sfu import rtp, stun
from sfu.dtls import Certificate, DtlsEndpoint, DtlsError
from sfu.srtp import Session, SrtpError

from .sdp import Answer, LocalTransport

_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 4 * 1024 * 1024
_BATCH_DATAGRAMS = 64
_CHECK_INTERVAL = 0.05  # seconds between checks until one is answered
_CHECKS_PER_CANDIDATE = 10  # before the next one has its turn
_CHECKS_WITHIN = 5.0  # seconds after which no candidate is tried again; a browser does not give up sooner
_HANDSHAKE_WITHIN = 15.0  # seconds; OpenSSL alone would go on for minutes
_CONSENT_INTERVAL = 5.0  # seconds; RFC 7675 section 5.1
_PRIORITY = 126 << 24 | 65535 << 8 | 255  # RFC 8445 section 5.1.2: a host candidate, component 1


class TransportError(Exception):
    """No way to the server: no candidate answered, or the handshake failed."""


class Transport:
    """`on_rtp` and `on_rtcp` get a decrypted packet and the monotonic time at which it was read.

    Of RTP only each `sample`-th packet is decrypted; the others are counted.
    """

    def __init__(
        self,
        certificate: Certificate,
        on_rtp: Callable[[bytes, float], None],
        on_rtcp: Callable[[bytes, float], None],
        *,
        sample: int = 1,
    ) -> None:
        self.local = LocalTransport(secrets.token_hex(4), secrets.token_hex(16), certificate.fingerprint)
        self.sent = 0  # datagrams of RTP
        self.received = 0  # likewise, decrypted or not
        self.blocked = 0  # datagrams that did not fit into the socket's buffer
        self.rejected = 0  # packets that did not authenticate or were replayed
        self.closed_by_server = False
        self._certificate = certificate
        self._sample = sample
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._socket: socket.socket | None = None
        self._dtls: DtlsEndpoint | None = None
        self._srtp: Session | None = None
        self._remote: Answer | None = None
        self._tie_breaker = secrets.randbits(64)
        self._transactions: set[bytes] = set()
        self._answered = asyncio.Event()
        self._next_consent = 0.0

    async def connect(self, remote: Answer, *, prefer: str | None = None) -> None:
        """Find the server, nominate the pair and shake hands. Raises TransportError.

        `prefer` is the address at which signalling was reached: where the server also has a candidate there, that one
        is tried first. The others follow by priority. Whatever the outcome, `close` ends what was begun.
        """
        self._remote = remote
        candidates = sorted(self._offered(remote), key=lambda found: found[0] != prefer)
        give_up = time.monotonic() + _CHECKS_WITHIN
        while not await self._any_answers(candidates):
            if not candidates or time.monotonic() >= give_up:
                raise TransportError(f"none of {len(candidates)} candidates answered")
            await asyncio.sleep(_CHECK_INTERVAL)
        self._dtls = DtlsEndpoint(self._certificate, "client", self._send, self._closed)
        try:
            async with asyncio.timeout(_HANDSHAKE_WITHIN):
                self._srtp = Session(await self._dtls.handshake(remote.fingerprints))
        except TimeoutError:
            raise TransportError(f"no DTLS handshake within {_HANDSHAKE_WITHIN} s") from None
        except DtlsError as error:
            raise TransportError(str(error)) from None

    def _offered(self, remote: Answer) -> Sequence[tuple[str, int]]:
        return remote.candidates

    async def _any_answers(self, candidates: Sequence[tuple[str, int]]) -> bool:
        for candidate in candidates:
            if await self._check(candidate):
                return True
        return False

    async def _check(self, candidate: tuple[str, int]) -> bool:
        family = socket.AF_INET6 if ":" in candidate[0] else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except OSError:  # only root may go past net.core.rmem_max
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        try:
            opened.connect(candidate)
        except OSError:
            opened.close()
            return False
        self._socket = opened
        self._answered.clear()
        asyncio.get_running_loop().add_reader(opened, self._readable)
        for _ in range(_CHECKS_PER_CANDIDATE):
            self._send_check()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_INTERVAL):
                    await self._answered.wait()
                return True
        self._close_socket()
        return False

    def _send_check(self) -> None:
        if self._remote is None:
            return
        transaction = secrets.token_bytes(12)
        if len(self._transactions) > 100:
            self._transactions.clear()
        self._transactions.add(transaction)
        username = f"{self._remote.ice_ufrag}:{self.local.ice_ufrag}"
        self._send(
            stun.binding_request(
                transaction, username, self._remote.ice_pwd, _PRIORITY, self._tie_breaker, nominate=True
            )
        )
        self._next_consent = time.monotonic() + _CONSENT_INTERVAL

    def tick(self, now: float) -> None:
        """Renew the consent when it is time. `now` is in monotonic seconds."""
        if self._srtp is not None and now >= self._next_consent:
            self._send_check()

    def send_rtp(self, packet: bytes) -> None:
        """Encrypt and send a plain RTP packet."""
        if self._srtp is not None:
            self._send(self._srtp.protect_rtp(packet))
            self.sent += 1

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send a plain compound RTCP packet."""
        if self._srtp is not None:
            self._send(self._srtp.protect_rtcp(packet))

    async def close(self) -> None:
        """End the association and release the socket. May be called more than once."""
        if self._dtls is not None:
            await self._dtls.close()
            self._dtls = None
        self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _closed(self) -> None:
        self.closed_by_server = True

    def _send(self, datagram: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(datagram)
        except OSError:  # a full buffer, or an ICMP error about an earlier datagram: lost, as on any network
            self.blocked += 1

    def _readable(self) -> None:
        now = time.monotonic()
        for _ in range(_BATCH_DATAGRAMS):
            if self._socket is None:
                return
            try:
                datagram = self._socket.recv(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue
            self._received(datagram, now)

    def _received(self, datagram: bytes, now: float) -> None:
        """RFC 7983 section 7: the first byte tells STUN, DTLS and RTP apart."""
        first = datagram[0] if len(datagram) > 1 else 255
        if 128 <= first <= 191:
            if self._srtp is None:
                return
            try:
                if rtp.is_rtcp(datagram):
                    self._on_rtcp(self._srtp.unprotect_rtcp(datagram), now)
                    return
                self.received += 1
                if self.received % self._sample == 0:
                    self._on_rtp(self._srtp.unprotect_rtp(datagram), now)
            except SrtpError:
                self.rejected += 1
        elif first <= 3:
            self._stun(datagram)
        elif 20 <= first <= 63 and self._dtls is not None:
            self._dtls.feed(datagram)

    def _stun(self, datagram: bytes) -> None:
        try:
            message = stun.parse(datagram)
        except stun.StunError:
            return
        if self._remote is None or self._socket is None:
            return
        if not message.is_request:
            if message.transaction_id in self._transactions and message.is_authentic(self._remote.ice_pwd):
                self._transactions.discard(message.transaction_id)
                self._answered.set()
        elif message.is_authentic(self.local.ice_pwd):
            source = self._socket.getpeername()[:2]
            self._send(stun.success_response(message, source, self.local.ice_pwd))


def own_address_of(host: str) -> str | None:
    """The address behind `host` of a signalling URL, to be preferred among candidates; None if it has none."""
    try:
        found: Sequence[tuple[object, ...]] = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # unknown, or no name at all
        return None
    addresses = [str(entry[4][0]) for entry in found if isinstance(entry[4], tuple)]
    return next((address for address in addresses if ":" not in address), addresses[0] if addresses else None)
