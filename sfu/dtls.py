"""The DTLS handshake that yields SRTP keys: the only file that imports aiortc, whose media classes are not used.

aiortc's RTCDtlsTransport touches its ICE transport through `role`, `state`, `_recv` and `_send` only, so a small
object with these four serves it. That corner is private: the minor version is pinned, and a test holds it to this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from aiortc import rtcdtlstransport as aiortc_dtls
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from .srtp import Keys

# The server takes the first profile of its own list that the client offers; GCM is three times as fast here.
_PROFILES = [SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80]
# RFC 8827 section 6.5 demands the first of these of everybody. aiortc's own list goes on with suites of CBC and SHA-1.
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
_DTLS_1_2 = 0xFEFD

# A handshake has a dozen datagrams and afterwards there is at most an alert; what comes beyond that is dropped.
_QUEUE_DATAGRAMS = 32


# Longer lets a client on a lossy path finish (its repetitions come after 1, 3 and 7 s); shorter frees sooner what a
# client holds that begins and does not go on.
HANDSHAKE_WITHIN = 10.0  # seconds


class DtlsError(Exception):
    """The handshake failed: wrong fingerprint, no common parameters, or the other side gave up."""


class DtlsTimeout(DtlsError):
    """The other side did not go on in time."""


class Certificate:
    """The key and self-signed certificate of one process, shared by its peers."""

    def __init__(self) -> None:
        self._certificate = _Certificate.generateCertificate()
        fingerprints = {f.algorithm: f.value for f in self._certificate.getFingerprints()}
        self.fingerprint: tuple[str, str] = ("sha-256", fingerprints["sha-256"])


class _Certificate(RTCCertificate):
    """Narrows what its associations agree to.

    They have one context in common. pyOpenSSL's holds a callback in a cycle of references which nobody outside can
    break, so with one for each association every handshake would leave work to the collector.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> None:
        super().__init__(key, cert)
        self._context = super()._create_ssl_context(_PROFILES)
        self._context.set_cipher_list(_CIPHERS)
        self._context.set_min_proto_version(_DTLS_1_2)
        # Nobody may go on with the session of another: each must show its certificate. And none is kept.
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        return self._context


class DtlsEndpoint:
    """One end of one DTLS association over datagrams that the caller moves.

    `send` is called with each outgoing datagram; `on_close` once, when the other side closes or the association
    breaks after a handshake that succeeded.
    """

    def __init__(
        self,
        certificate: Certificate,
        role: Literal["client", "server"],
        send: Callable[[bytes], None],
        on_close: Callable[[], None],
    ) -> None:
        self._pipe = _Pipe(send, "controlled" if role == "client" else "controlling")
        self._transport = _Transport(self._pipe, [certificate._certificate])
        self._transport._set_role(role)
        self._on_close = on_close

    def feed(self, datagram: bytes) -> None:
        """Hand over an incoming datagram whose first byte says DTLS."""
        self._pipe.feed(datagram)

    async def handshake(self, fingerprints: Sequence[tuple[str, str]]) -> Keys:
        """Run the handshake and return the SRTP keys. Raises DtlsError, after 10 s at the latest.

        `fingerprints` are (algorithm, value) from the peer's SDP; its certificate must match them (RFC 8122).
        """
        if not fingerprints:
            raise DtlsError("the peer has no fingerprint")
        remote = RTCDtlsParameters([RTCDtlsFingerprint(algorithm, value) for algorithm, value in fingerprints])
        # A cancellation can be lost in aiortc: its wait_for swallows one that comes together with a datagram, and the
        # other side sends as many as it likes. So when the time is over there is nothing to read any more.
        too_late = asyncio.get_running_loop().call_later(HANDSHAKE_WITHIN, self._pipe.give_up)
        try:
            await self._transport.start(remote)
        finally:
            too_late.cancel()
        if self._pipe.given_up:
            raise DtlsTimeout(f"no handshake within {HANDSHAKE_WITHIN:.0f} s")
        if self._transport.keys is None or self._transport.state != "connected":
            raise DtlsError("handshake failed or fingerprint mismatch")
        self._transport.on("statechange", self._state_changed)
        return self._transport.keys

    async def close(self) -> None:
        """Send close_notify and end. May be called more than once, and during a handshake that was cancelled."""
        self._transport.remove_all_listeners()
        pump = self._transport._task
        await self._transport.stop()
        self._pipe.close()
        self._on_close = _nothing
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)

    def _state_changed(self) -> None:
        if self._transport.state == "closed":
            self._on_close()


class _Transport(RTCDtlsTransport):
    """Keeps the exported keys instead of making libsrtp sessions of its own."""

    def __init__(self, pipe: _Pipe, certificates: list[RTCCertificate]) -> None:
        super().__init__(pipe, certificates)  # type: ignore[arg-type]  # the duck type described above
        self._srtp_profiles = _PROFILES
        self.keys: Keys | None = None

    def _setup_srtp(self) -> None:
        selected = self._ssl.get_selected_srtp_profile() if self._ssl else b""
        profile = next((p for p in _PROFILES if p.openssl_profile == selected), None)
        if profile is None or self._ssl is None:
            self._set_state(aiortc_dtls.State.FAILED)
            return
        # RFC 5764 section 4.2: client key, server key, client salt, server salt.
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        client, server = (profile.get_key_and_salt(material, side) for side in (0, 1))
        outbound, inbound = (server, client) if self._role == "server" else (client, server)
        self.keys = Keys(profile.openssl_profile.decode(), outbound, inbound)

    async def _recv_next(self) -> None:
        """Read all records of the next datagram.

        aiortc reads one: the others of an authentic peer's full datagrams would pile up in OpenSSL's memory for ever.
        """
        await super()._recv_next()
        if self.keys is None or self._ssl is None:
            return
        try:
            while True:
                self._ssl.recv(1500)
        except SSL.ZeroReturnError:
            raise ConnectionError from None
        except SSL.Error:  # usually WantReadError: nothing is left
            await self._write_ssl()


class _Pipe:
    """What aiortc takes for an ICE transport: a bounded queue in, a function out."""

    state = "completed"

    def __init__(self, send: Callable[[bytes], None], role: str) -> None:
        self.role = role
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_DATAGRAMS + 1)
        self._closed = False
        self.given_up = False

    def feed(self, datagram: bytes) -> None:
        if self._queue.qsize() < _QUEUE_DATAGRAMS:
            self._queue.put_nowait(datagram)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._send_datagram = _nothing
            self._queue.put_nowait(None)  # wakes a handshake that waits; there is always room for it

    def give_up(self) -> None:
        """Close, for the time is over."""
        self.given_up = True
        self.close()

    async def _recv(self) -> bytes:
        if self._closed:
            raise ConnectionError
        datagram = await self._queue.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


def _nothing(*_: object) -> None:
    """Stands for the functions of an owner after the end: they are most likely its methods, and would keep it."""
