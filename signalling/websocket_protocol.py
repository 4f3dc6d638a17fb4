"""uvicorn's WebSocket protocol with two changes for clients that no longer read what they are sent.

This is the only file that touches uvicorn's inside; its minor version is pinned for that. As it stands, a close waits
until the client has drained what is buffered, and a dead connection with unsent data lingers until TCP gives up, a
quarter of an hour later. Here a close goes out at once, and what cannot be flushed shortly after is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

CUT_AFTER = 2.0  # seconds between a close and the cut


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection of the server."""

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
