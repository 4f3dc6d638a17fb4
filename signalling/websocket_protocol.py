"""uvicorn's connections, with bounds on what a client can make us hold.

This is the only file that touches uvicorn's inside; its minor version is pinned for that. As it stands, a close waits
until the client has drained what is buffered, and a dead connection with unsent data lingers until TCP gives up, a
quarter of an hour later. Here a close goes out at once, and what cannot be flushed shortly after is cut off. Neither
pongs nor fragments nor request headers pile up, and who opens a connection to say nothing does not keep it. What
arrives at once is parsed in pieces, between which others have their turn.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from .websocket import TOO_MANY_CONTROL_FRAMES

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

CUT_AFTER = 2.0  # seconds between a close and the cut
MAX_FRAGMENTS = 64  # of one message; browsers send one
PIECE = 2048  # bytes that are parsed at once: some hundred small messages, a millisecond or two
MAX_CONTROL_FRAMES = 16  # in a piece; browsers send a pong per ping, and no ping
MAX_HEAD = 32 * 1024  # bytes of a request before its body
HEAD_TIMEOUT = 10.0  # seconds for them to arrive


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection of the server, which may become a WebSocket."""

    _head_bytes = 0
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's, and the first request is awaited from now on."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, which would collect headers without end."""
        if self._head_due is not None:
            if self._head_bytes > MAX_HEAD:
                self._head_is_there()
                self.send_400_response("The request's head is too large.")
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request began."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        self._head_is_there()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """As uvicorn's, which would leave this object and its parser to each other, and so to the collector."""
        super().handle_websocket_upgrade()
        del self.parser

    def on_response_complete(self) -> None:
        """A response is out; the next request may follow on the same connection."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._head_is_there()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_due is None:
            self._head_bytes = 0
            self._head_due = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _head_is_there(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection of the server."""

    _unread = memoryview(b"")
    _control_frames = 0  # in the piece that is being parsed

    async def send(self, message: ASGISendEvent) -> None:
        """As uvicorn's, except that a close does not wait for a client that does not read."""
        if message["type"] != "websocket.close" or not self.handshake_complete:
            await super().send(message)
            return
        was_writable = self.writable.is_set()
        self.writable.set()
        try:
            await super().send(message)  # nothing in it waits now, so no other send slips in
        finally:
            if not was_writable and not self.disconnected:
                self.writable.clear()
        self.loop.call_soon(self._parse_piece)  # the client's close frame may be in what is unread
        self._cut_later()

    async def receive(self) -> ASGIReceiveEvent:
        """As uvicorn's, but what has arrived is parsed before more is read."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self._go_on()
        return message

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, which would parse all that arrived at once, however long that takes."""
        if self.handshake_initiated:
            self._unread = memoryview(bytes(self._unread) + data)
            self._parse_piece()
            return
        super().data_received(data)  # the request, in one piece
        if not self.handshake_initiated and not self.transport.is_closing():
            # It could not be parsed, and uvicorn would let the client wait for ever.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's, which leaves to the collector what websockets ties together: a parser and what it works for.

        The error that ended a parser holds its frames, and so the same. One knot stays for the collector, as only
        websockets could undo it: a malformed request for an upgrade holds the error, whose frames hold the request.
        """
        super().connection_lost(exc)
        self.conn.parser.close()
        self.conn.parser_exc = None

    def _parse_piece(self) -> None:
        piece, self._unread = bytes(self._unread[:PIECE]), self._unread[PIECE:]
        if not piece or self.disconnected or self.transport.is_closing():
            return
        self._control_frames = 0
        super().data_received(piece)
        if self.transport.is_closing():
            return
        if self._unread and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        if self.read_paused and (self.queue.empty() or self.close_sent):
            self._go_on()

    def _go_on(self) -> None:
        """Parse the next piece in a later turn of the loop, or read on if there is none."""
        if self._unread:
            self.loop.call_soon(self._parse_piece)
        else:
            self.read_paused = False
            self.transport.resume_reading()

    def _too_many_control_frames(self) -> bool:
        self._control_frames += 1
        if self._control_frames > MAX_CONTROL_FRAMES and not self.close_sent:
            self.conn.fail(1008, TOO_MANY_CONTROL_FRAMES)
            self.handle_parser_exception()
        return self.close_sent

    def handle_pong(self, event: Frame) -> None:
        """As uvicorn's, but nobody sends them without end."""
        if not self._too_many_control_frames():
            super().handle_pong(event)

    def handle_ping(self) -> None:
        """As uvicorn's, but pongs do not pile up for who does not read them (RFC 6455 section 5.5.3 lets us skip)."""
        if self._too_many_control_frames():
            self.conn.data_to_send()
        elif self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """As uvicorn's, but empty fragments, which the bound on a message's size does not count, come to an end."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """As uvicorn's, but who does not read the reason does not keep the connection."""
        super().handle_parser_exception()
        self._cut_later()

    def handle_close(self, event: Frame) -> None:
        """As uvicorn's, but who does not read the end does not keep the connection."""
        super().handle_close(event)
        self._cut_later()

    def keepalive_timeout(self) -> None:
        """No pong came: the client is gone, and so is what it has not received."""
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        self._cut_later()

    def _cut_later(self) -> None:
        self.loop.call_later(CUT_AFTER, self.transport.abort)
