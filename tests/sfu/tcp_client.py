"""A client of the engine that comes by TCP: the cheap peer's transport, with its datagrams in frames."""

from __future__ import annotations

import asyncio
import socket
import time

from loadtest.transport import Transport
from sfu.engine import Engine
from sfu.framing import Deframer, framed

from .client import Client


class TcpTransport(Transport):
    """Connects to the TCP port of the same number as each candidate."""

    deframer: Deframer

    async def _check(self, candidate: tuple[str, int]) -> bool:
        self._socket = socket.create_connection(candidate, timeout=2)
        self._socket.setblocking(False)
        self.deframer = Deframer(2, 1500)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        self._answered.clear()
        self._send_check()
        async with asyncio.timeout(2):
            await self._answered.wait()
        return True

    def _send(self, datagram: bytes) -> None:
        if self._socket is not None:
            self._socket.sendall(framed(datagram))

    def _readable(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65536)
        if not data:
            self._close_socket()
            return
        self.deframer.feed(data)
        now = time.monotonic()
        while (datagram := self.deframer.next()) is not None:
            self._received(datagram, now)


def tcp_client(media: Engine, peer: str) -> Client:
    """A client that has no UDP."""
    client = Client(media, peer)
    made = client.transport
    client.transport = TcpTransport(made._certificate, made._on_rtp, made._on_rtcp)
    return client
