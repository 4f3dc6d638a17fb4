"""The shell of one WebSocket: a reader that turns frames into events, and a writer that empties its outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from . import messages as m
from .commands import CloseCode
from .events import Connected, Disconnected, Event, Malformed, Received, SocketId
from .outbox import Outbox, OutboxFull

# RFC 6455 section 7.4.1: 1001 "indicates that an endpoint is "going away", such as […] a browser having navigated away
# from a page". A close frame may come without a code (1005), and a connection may end without one (1006).
CLEAN_CLOSES = (1000, 1001)
NO_CODE = 1005
MESSAGE_TOO_BIG = 1009  # the close code of RFC 6455 section 7.4.1
TOO_MANY_CONTROL_FRAMES = "too many control frames"  # the reason with which websocket_protocol.py closes
MAX_FIRST_MESSAGE = 16 * 1024  # bytes: a join or a resume is small, and a stranger gets no more of our time


class Connection:
    """One accepted WebSocket. Its tasks end with it."""

    def __init__(
        self, id: SocketId, websocket: WebSocket, outbox: Outbox, limited: Callable[[str], None] = lambda limit: None
    ) -> None:
        """`limited` is told the name of a limit that ends the connection."""
        self.id = id
        self._websocket = websocket
        self._outbox = outbox
        self._limited = limited
        self._work = asyncio.Event()  # there is something to write
        self._cut = asyncio.Event()  # close now, whatever waits
        self._closing: tuple[CloseCode, str] | None = None
        self._rest = 0.0  # seconds until the next message is read

    # --------------------------------------------------------------------------------------- called by the server

    def send(self, text: str) -> None:
        """Queue a text; a client that does not read is cut off (it may resume)."""
        if self._closing is not None:
            return
        try:
            self._outbox.put(text)
        except OutboxFull:
            self._limited("outbox")
            self._closing = (CloseCode.TRY_LATER, "slow_consumer")
            self._cut.set()
        self._work.set()

    def close(self, code: CloseCode, reason: str) -> None:
        """Close after all that was sent before."""
        if self._closing is None:
            self._closing = (code, reason)
            self._work.set()

    def read_later(self, seconds: float) -> None:
        """Read the next message only after so many seconds. Until then what the client sends stays with the client."""
        self._rest = seconds

    # ------------------------------------------------------------------------------------------------- its tasks

    async def serve(self, address: str, url: str, dispatch: Callable[[Event], None]) -> None:
        """Run until the socket is closed by either side."""
        dispatch(Connected(self.id, address, url))
        clean = False
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(), name=f"socket-{self.id}-writer")
                cutter = tasks.create_task(self._close_when_cut(), name=f"socket-{self.id}-cutter")
                try:
                    clean = await self._read(dispatch) in CLEAN_CLOSES
                finally:
                    writer.cancel()
                    cutter.cancel()
        finally:
            dispatch(Disconnected(self.id, clean))

    async def _read(self, dispatch: Callable[[Event], None]) -> int:
        """Read until the end and return the close code."""
        first = True
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                code = int(frame.get("code") or NO_CODE)
                if code == MESSAGE_TOO_BIG:
                    self._limited("message_bytes")
                elif frame.get("reason") == TOO_MANY_CONTROL_FRAMES:
                    self._limited("control_frames")
                return code
            dispatch(self._event(frame.get("text"), first))
            first = False
            if self._rest:
                rest, self._rest = self._rest, 0.0
                await asyncio.sleep(rest)

    def _event(self, text: str | None, first: bool) -> Event:
        if text is None:
            return Malformed(self.id, "invalid_json", "Messages travel in text frames.")
        if first and len(text) > MAX_FIRST_MESSAGE:
            return Malformed(self.id, "message_too_large", f"The first message has at most {MAX_FIRST_MESSAGE} bytes.")
        try:
            return Received(self.id, m.parse_client_message(text))
        except m.MessageError as error:
            return Malformed(self.id, error.code, str(error), error.field, error.request)

    async def _write(self) -> None:
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while (text := self._outbox.take()) is not None:
                    await self._websocket.send_text(text)
                if self._closing is not None and not self._cut.is_set():
                    code, reason = self._closing
                    await self._websocket.close(code, reason)
                    return
        except WebSocketDisconnect:
            return  # the reader hears of it too

    async def _close_when_cut(self) -> None:
        await self._cut.wait()
        assert self._closing is not None  # noqa: S101 - set before the event
        code, reason = self._closing
        await self._websocket.close(code, reason)
