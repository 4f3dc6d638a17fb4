"""The WebSocket of a peer: sends requests, awaits their replies, and hands every other message on.

It speaks the JSON of docs/protocol.md by itself, so that the server is tested against the text and not against its
own models. This is the only file of the package that imports websockets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

Message = dict[str, Any]

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_REPLY_WITHIN = 20.0  # seconds


class SignallingError(Exception):
    """The server refused a request (`code` is its error code), is gone (`closed`), or says nonsense (`malformed`)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = message


class Signalling:
    """A session of the protocol. `on_message` gets what is no reply to a request of ours."""

    def __init__(self, socket: ClientConnection, on_message: Callable[[Message], None]) -> None:
        self._socket = socket
        self._on_message = on_message
        self._requests = 0
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self.goodbye: Message | None = None

    @classmethod
    async def open(cls, url: str, on_message: Callable[[Message], None], within: float = _REPLY_WITHIN) -> Signalling:
        """Connect, within so many seconds. Raises SignallingError."""
        try:
            socket = await connect(
                url,
                subprotocols=[Subprotocol("auralink.v1")],
                compression=None,
                max_size=_MAX_MESSAGE_BYTES,
                proxy=None,  # media takes no proxy either
                open_timeout=within,
            )
        except (OSError, UnicodeError, WebSocketException) as error:
            raise SignallingError("closed", f"cannot connect: {error}") from None
        return cls(socket, on_message)

    async def request(self, message: Message) -> Message:
        """Send a request and return its reply. Raises SignallingError on an error reply or a lost socket."""
        self._requests += 1
        name = str(self._requests)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[name] = reply
        try:
            await self._socket.send(json.dumps({**message, "request": name}))
            async with asyncio.timeout(_REPLY_WITHIN):
                return await reply
        except WebSocketException as error:
            raise SignallingError("closed", str(error)) from None
        except TimeoutError:
            raise SignallingError("closed", f"no reply to {message['type']} within {_REPLY_WITHIN} s") from None
        finally:
            del self._waiting[name]

    async def read(self) -> None:
        """Dispatch messages until the socket closes; for a task of the owner."""
        try:
            async for text in self._socket:
                self._dispatch(_read(text))
        except WebSocketException:
            pass  # closed without a goodbye; the waiting requests are told below
        except SignallingError as malformed:
            self.goodbye = {"type": "goodbye", "code": malformed.code, "message": malformed.reason}
            await self._socket.close(CloseCode.PROTOCOL_ERROR)
        finally:
            words = self.goodbye or {}
            gone = SignallingError(words.get("code", "closed"), words.get("message", "the socket is closed"))
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_exception(gone)

    def _dispatch(self, message: Message) -> None:
        reply = self._waiting.get(message.get("request") or "")
        if message["type"] == "goodbye":
            self.goodbye = message
        if reply is None or reply.done():
            self._on_message(message)
        elif message["type"] == "error":
            reply.set_exception(SignallingError(str(message.get("code")), str(message.get("message"))))
        else:
            reply.set_result(message)

    async def close(self) -> None:
        """Close the socket."""
        await self._socket.close()


def _read(text: str | bytes) -> Message:
    """A message of the protocol, as far as its type. Raises SignallingError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SignallingError("malformed", f"the server sent no JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise SignallingError("malformed", "the server sent what is no message")
    if not isinstance(message.get("request"), str | None):
        raise SignallingError("malformed", "the server replied to what is no request")
    return message
