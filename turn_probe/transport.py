"""The sockets of a probe: UDP, TCP or TLS to a server, and a UDP socket that answers what comes through a relay."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any, Self, cast

from . import turn
from .events import Broken, Connect, Event, Received
from .report import Verdict
from .turn import Address
from .urls import Transport

READ_BYTES = 4096
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL
# What our own machine says; it tells nothing about the server.
OWN_FAULTS = {
    *(errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES),
    *(errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
}


def fault_of(error: OSError) -> Broken:
    """What an error of a socket says about the server, or about us."""
    if isinstance(error, ssl.SSLCertVerificationError):
        verdict = Verdict.CERTIFICATE_EXPIRED if error.verify_code == EXPIRED else Verdict.TLS_ERROR
        return Broken(verdict, f"its certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Broken(Verdict.TLS_ERROR, f"no TLS: {error.reason or 'it ended during the handshake'}")
    if isinstance(error, ConnectionRefusedError):
        return Broken(Verdict.DOWN, "nobody listens there: refused")
    why = (error.strerror or str(error) or type(error).__name__).lower()
    return Broken(Verdict.OWN_NETWORK_BROKEN if error.errno in OWN_FAULTS else Verdict.DOWN, why)


class Wire:
    """One connection at a time. `tell` hears of what arrives, and of the end if it was not ours."""

    def __init__(self, tls: ssl.SSLContext, tell: Callable[[Event], None]) -> None:
        self._tls = tls
        self._tell = tell
        self._udp: socket.socket | None = None
        self._stream: _Stream | None = None
        self.local: Address | None = None

    async def connect(self, wish: Connect) -> None:
        """Raises OSError, `ssl.SSLError` too. Who does not want to wait any longer cancels it."""
        await self.close()
        if wish.server.transport is Transport.UDP:
            self._connect_udp(wish.address)
            return
        loop = asyncio.get_running_loop()
        secure = wish.server.transport is Transport.TLS
        stream = _Stream(self._tell)
        await loop.create_connection(
            lambda: stream,
            *wish.address,
            ssl=self._tls if secure else None,
            server_hostname=wish.server.host if secure else None,
        )
        self._stream = stream
        self.local = stream.local

    def _connect_udp(self, address: Address) -> None:
        # A connected socket hears of a refused port; and nobody but the server can send to it.
        udp = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.connect(address)
            self.local = udp.getsockname()[:2]
        except OSError:
            udp.close()
            raise
        self._udp = udp
        asyncio.get_running_loop().add_reader(udp, self._readable, udp)

    def _readable(self, udp: socket.socket) -> None:
        try:
            data = udp.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._tell(fault_of(error))
            return
        self._tell(Received(data))

    def send(self, data: bytes) -> None:
        """Send at once; after the end of the connection, nothing. Raises OSError."""
        if self._udp is not None:
            self._udp.send(data)
        elif self._stream is not None:
            self._stream.send(data)

    async def close(self) -> None:
        """Release everything; may be called twice."""
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()


class _Stream(asyncio.Protocol):
    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.get_running_loop().create_future()
        self._closing = False

    @property
    def local(self) -> Address | None:
        name: Any = self._transport.get_extra_info("sockname") if self._transport else None
        return tuple(name[:2]) if name else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._closing:
            self._tell(Received(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
        if not self._closing:
            self._tell(fault_of(exc) if isinstance(exc, OSError) else Broken(Verdict.DOWN, "it closed the connection"))

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
            await self._ended


class EchoSocket:
    """A UDP socket of our own that answers signed checks, as the media port does."""

    def __init__(self, host: str, password: str) -> None:
        """Raises OSError if the address is not ours."""
        self._password = password
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((host, 0))
        except OSError:
            self._socket.close()
            raise
        self.address: Address = self._socket.getsockname()[:2]

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            data, source = self._socket.recvfrom(READ_BYTES)
            answer = turn.answer_binding(data, source[:2], self._password)
            if answer is not None:
                self._socket.sendto(answer, source)
        except OSError:  # nothing there after all, or an ICMP error about what was sent before
            return
