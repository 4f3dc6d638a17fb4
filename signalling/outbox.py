"""What waits to be sent to one client: bounded in messages and in bytes, so that who does not read costs little."""

from __future__ import annotations

from collections import deque


class OutboxFull(Exception):
    """The client reads too slowly; what waited has been thrown away."""


class Outbox:
    """A queue of texts with two bounds."""

    __slots__ = ("_bytes", "_max_bytes", "_max_messages", "_texts")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._texts: deque[str] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    def put(self, text: str) -> None:
        """Add a text. Raises OutboxFull, and is empty after that.

        Bounds are on what waits already: a single message larger than all, a snapshot of a huge room, still goes out.
        """
        if len(self._texts) >= self._max_messages or self._bytes >= self._max_bytes:
            self._texts.clear()
            self._bytes = 0
            raise OutboxFull
        self._texts.append(text)
        self._bytes += len(text)

    def take(self) -> str | None:
        """The oldest text, or None."""
        if not self._texts:
            return None
        text = self._texts.popleft()
        self._bytes -= len(text)
        return text
