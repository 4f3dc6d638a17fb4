"""The other end of a transport, in the test's own process: an ICE-lite agent with DTLS and SRTP on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from loadtest.sdp import Answer
from sfu import rtp, stun
from sfu.dtls import Certificate, DtlsEndpoint
from sfu.framing import Deframer, framed
from sfu.srtp import Session

# Making keys takes longer than a handshake.
CLIENT, SERVER = Certificate(), Certificate()
UFRAG, PASSWORD = "serv", "q" * 24
WITHIN = 5.0  # seconds; nothing here takes more than a few milliseconds


class News:
    """Lets a test wait for what the other end is to notice, without asking again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something happened."""
        self._event.set()

    async def until(self, probe: Callable[[], object]) -> None:
        """Wait until `probe` is true. Raises TimeoutError."""
        async with asyncio.timeout(WITHIN):
            while not probe():
                self._event.clear()
                await self._event.wait()


class Counterpart(asyncio.DatagramProtocol):
    """Answers checks if `password` is that of the client's; keeps what arrives."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.checks: list[stun.Binding] = []
        self.replies: list[stun.Binding] = []
        self.rtp: list[rtp.Packet] = []
        self.rtcp: list[bytes] = []
        self.news = News()
        self.closed = 0
        self.deaf_to_dtls = False
        self.address = ("127.0.0.1", 0)
        self._password = password
        self._socket: asyncio.DatagramTransport | None = None
        self._client: tuple[str, int] | None = None
        self._srtp: Session | None = None
        self.dtls = DtlsEndpoint(SERVER, "server", self.send, self._on_close)

    @property
    def answer(self) -> Answer:
        """What an SDP answer would say."""
        return Answer(UFRAG, PASSWORD, (SERVER.fingerprint,), (self.address,), {})

    async def handshake(self, fingerprint: tuple[str, str]) -> None:
        """Be the DTLS server for a client with this fingerprint. Raises DtlsError."""
        self._srtp = Session(await self.dtls.handshake([fingerprint]))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self._client = source
        if data[0] <= 3:
            self._stun(stun.parse(data), source)
        elif data[0] <= 63:
            if not self.deaf_to_dtls:
                self.dtls.feed(data)
        elif self._srtp is not None:
            if rtp.is_rtcp(data):
                self.rtcp.append(self._srtp.unprotect_rtcp(data))
            else:
                self.rtp.append(rtp.parse(self._srtp.unprotect_rtp(data)))
        self.news.tell()

    def _stun(self, message: stun.Binding, source: tuple[str, int]) -> None:
        if message.is_request:
            self.checks.append(message)
            self.send(stun.success_response(message, source, self._password))
        else:
            self.replies.append(message)

    def _on_close(self) -> None:
        self.closed += 1
        self.news.tell()

    def send(self, datagram: bytes) -> None:
        """Send raw bytes to where the last datagram came from."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(datagram, self._client)

    def send_rtp(self, packet: bytes) -> None:
        """Encrypt and send."""
        assert self._srtp is not None
        self.send(self._srtp.protect_rtp(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send."""
        assert self._srtp is not None
        self.send(self._srtp.protect_rtcp(packet))

    async def close(self) -> None:
        """End the association and release the port."""
        await self.dtls.close()
        if self._socket is not None:
            self._socket.close()
            await asyncio.sleep(0)  # asyncio closes the file descriptor in the loop's next round


@asynccontextmanager
async def counterpart(host: str = "127.0.0.1", *, password: str = PASSWORD) -> AsyncIterator[Counterpart]:
    """One that listens on a free port of `host`."""
    far = Counterpart(password)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: far, (host, 0))
    try:
        yield far
    finally:
        await far.close()


class TcpCounterpart(Counterpart):
    """The same behind a TCP listener, for one client."""

    hang_ups = 0  # so many clients are not listened to
    _stream: asyncio.Transport | None = None

    @property
    def answer(self) -> Answer:
        return Answer(UFRAG, PASSWORD, (SERVER.fingerprint,), (), {}, (self.address,))

    def accepted(self, stream: asyncio.BaseTransport) -> None:
        """The client is connected."""
        self._stream = cast(asyncio.Transport, stream)
        if self.hang_ups:
            self.hang_ups -= 1
            self._stream.close()

    def send(self, datagram: bytes) -> None:
        if self._stream is not None and not self._stream.is_closing():
            self._stream.write(framed(datagram))

    def pause(self) -> None:
        """Read no more."""
        assert self._stream is not None
        self._stream.pause_reading()

    def resume(self) -> None:
        """Read on."""
        assert self._stream is not None
        self._stream.resume_reading()

    def says_last(self, data: bytes) -> None:
        """Send raw bytes and end the connection."""
        assert self._stream is not None
        self._stream.write(data)
        self._stream.close()

    async def close(self) -> None:
        await super().close()
        if self._stream is not None:
            self._stream.close()
            await asyncio.sleep(0)


class _Frames(asyncio.Protocol):
    def __init__(self, far: TcpCounterpart) -> None:
        self._far, self._deframer = far, Deframer(2, 1500)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._source = transport.get_extra_info("peername")
        self._far.accepted(transport)

    def data_received(self, data: bytes) -> None:
        self._deframer.feed(data)
        while (datagram := self._deframer.next()) is not None:
            self._far.datagram_received(datagram, self._source)


@asynccontextmanager
async def tcp_counterpart() -> AsyncIterator[TcpCounterpart]:
    """One that listens on a free port of 127.0.0.1."""
    far = TcpCounterpart()
    listener = await asyncio.get_running_loop().create_server(lambda: _Frames(far), "127.0.0.1", 0)
    far.address = listener.sockets[0].getsockname()
    try:
        yield far
    finally:
        listener.close()
        await far.close()
