"""A peer's transport where no UDP gets through: the same datagrams, in frames on a TCP connection (RFC 6544)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence

from sfu.framing import Deframer, FramingError, framed

from .sdp import Answer
from .transport import Transport

_ANSWERED_WITHIN = 2.0  # seconds to connect to a candidate and have its answer; TCP itself repeats what is lost
_READ_BYTES = 64 * 1024
_SMALLEST, _LARGEST = 2, 1500  # bytes of a datagram


class TcpTransport(Transport):
    """Connects to the server's passive TCP candidates, and to nothing else."""

    _incoming: Deframer
    _rest = b""  # of a frame that the kernel took only a part of

    def _offered(self, remote: Answer) -> Sequence[tuple[str, int]]:
        return remote.tcp_candidates

    async def _check(self, candidate: tuple[str, int]) -> bool:
        family = socket.AF_INET6 if ":" in candidate[0] else socket.AF_INET
        opened = self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._rest = Deframer(_SMALLEST, _LARGEST), b""
        self._answered.clear()
        self.closed_by_server = False  # that was another connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                await loop.sock_connect(opened, candidate)
                loop.add_reader(opened, self._readable)
                self._send_check()
                await self._answered.wait()
            return True
        except OSError:  # TimeoutError is one
            self._close_socket()
            return False

    def _send(self, datagram: bytes) -> None:
        """Frames stay whole: while the kernel lacks a part of one, the next are lost, as on a full UDP socket."""
        if self._socket is None:
            return
        if self._rest:
            self.blocked += 1
            return
        self._write(framed(datagram))
        if self._rest:
            asyncio.get_running_loop().add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._write(self._rest)
        if not self._rest and self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)

    def _write(self, data: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._rest = data[self._socket.send(data) :]
        except (BlockingIOError, InterruptedError):
            self._rest = data
        except OSError:
            self._lost()

    def _readable(self) -> None:
        now = time.monotonic()
        try:
            data = self._socket.recv(_READ_BYTES) if self._socket is not None else b""
            self._incoming.feed(data)
            while (datagram := self._incoming.next()) is not None:
                self._received(datagram, now)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, FramingError):
            data = b""
        if not data:
            self._lost()

    def _lost(self) -> None:
        """The server has ended the connection, or it broke: nothing goes either way any more."""
        self.closed_by_server = True
        self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)
        self._rest = b""
        super()._close_socket()
