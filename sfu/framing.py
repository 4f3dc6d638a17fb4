"""Datagrams on a stream: each goes after its length in two bytes (RFC 4571 section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LENGTH_BYTES: Final = 2


class FramingError(Exception):
    """The stream announces a frame that no honest sender makes; where the next one begins, nobody knows."""


def framed(datagram: bytes) -> bytes:
    """One datagram, ready for the stream. Raises OverflowError from 65536 bytes on."""
    return len(datagram).to_bytes(LENGTH_BYTES, "big") + datagram


def framed_together(datagrams: Sequence[bytes]) -> bytes:
    """Many of them, ready to be written at once."""
    return b"".join([part for one in datagrams for part in (len(one).to_bytes(LENGTH_BYTES, "big"), one)])


class Deframer:
    """Finds the datagrams in a stream that arrives in pieces.

    It holds what it was fed and what of one frame was left before; who feeds it only when `ready` is false bounds it.
    """

    __slots__ = ("_at", "_buffer", "_largest", "_smallest")

    def __init__(self, smallest: int, largest: int) -> None:
        """A datagram has so many bytes."""
        self._smallest, self._largest = smallest, largest
        self._buffer = b""
        self._at = 0  # where the next frame begins

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    @property
    def ready(self) -> bool:
        """Whether a whole datagram is there. Raises FramingError."""
        return self._end() is not None

    def next(self) -> bytes | None:
        """The next datagram, if all of it is there. Raises FramingError, from then on each time."""
        end = self._end()
        if end is None:
            return None
        datagram = self._buffer[self._at + LENGTH_BYTES : end]
        self._at = end
        return datagram

    def _end(self) -> int | None:
        buffer, at = self._buffer, self._at
        if len(buffer) < at + LENGTH_BYTES:
            return None
        length = buffer[at] << 8 | buffer[at + 1]
        if not self._smallest <= length <= self._largest:
            raise FramingError(f"a frame of {length} bytes")
        end = at + LENGTH_BYTES + length
        return end if end <= len(buffer) else None
