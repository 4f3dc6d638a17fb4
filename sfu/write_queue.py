"""What a stream could not take yet: bounded, and pictures give way to sound.

TCP delivers everything however late, which is no use for a call: what waits too long is dropped before it is written,
as a full queue on the way drops a datagram. What was begun has to be finished: the receiver counts bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from .framing import LENGTH_BYTES, framed

# What is not larger is sound, a report, a check or a part of a handshake: little of it, and needed at once.
SMALL_BYTES: Final = 400
# Of a reader that is slow for a moment: a keyframe of a large picture, or some of small ones. More would be shown late,
# less would lose keyframes at each dip.
MOST_BYTES: Final = 128 * 1024
# What small ones may fill beyond that, so that sound passes while pictures are dropped.
MOST_BYTES_OF_SMALL: Final = 160 * 1024
# Seconds that something waits at most before pictures are thrown away. Longer would keep sound behind them; shorter
# would never let a keyframe through a narrow network.
LATE_AFTER: Final = 0.5
# What is offered to the kernel at once.
_WRITE_BYTES: Final = 64 * 1024


class WriteQueue:
    """Framed bytes that wait to be written. Times are monotonic seconds."""

    __slots__ = ("_began", "_chunks", "_written", "dropped_bytes", "dropped_datagrams", "size")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._written = 0  # of the first chunk
        self._began = 0.0  # when it was last empty, or rid of pictures
        self.size = 0
        self.dropped_datagrams = 0
        self.dropped_bytes = 0

    def add(self, datagrams: Sequence[bytes], now: float) -> None:
        """Put what there is room for at the end, and count the rest as dropped."""
        if self.size and now - self._began > LATE_AFTER:
            self._throw_pictures_away()
            self._began = now
        for datagram in datagrams:
            if self.size + len(datagram) <= (MOST_BYTES_OF_SMALL if len(datagram) <= SMALL_BYTES else MOST_BYTES):
                self._append(framed(datagram), now)
            else:
                self._count(len(datagram))

    def add_rest(self, datagrams: Sequence[bytes], written: int, now: float) -> None:
        """Take what is left of datagrams that were written together, of which the kernel took `written` bytes."""
        at = 0
        for number, datagram in enumerate(datagrams):
            end = at + LENGTH_BYTES + len(datagram)
            if end > written:
                begun = written > at
                if begun:
                    self._append(framed(datagram)[written - at :], now)
                self.add(datagrams[number + begun :], now)
                return
            at = end

    def head(self) -> bytes:
        """What to write next."""
        if not self._chunks:
            return b""
        size, taken = 0, []
        for chunk in self._chunks:
            taken.append(chunk)
            size += len(chunk)
            if size >= _WRITE_BYTES:
                break
        return b"".join(taken)[self._written :]

    def wrote(self, count: int) -> None:
        """So many bytes of `head` are written."""
        self.size -= count
        self._written += count
        while self._chunks and self._written >= len(self._chunks[0]):
            self._written -= len(self._chunks.popleft())

    def _throw_pictures_away(self) -> None:
        begun = self._chunks.popleft()
        kept = [chunk for chunk in self._chunks if len(chunk) <= SMALL_BYTES + LENGTH_BYTES]
        for chunk in self._chunks:
            if len(chunk) > SMALL_BYTES + LENGTH_BYTES:
                self._count(len(chunk) - LENGTH_BYTES)
        self._chunks = deque([begun, *kept])
        self.size = sum(map(len, self._chunks)) - self._written

    def _count(self, size: int) -> None:
        self.dropped_datagrams += 1
        self.dropped_bytes += size

    def _append(self, chunk: bytes, now: float) -> None:
        if not self.size:
            self._began = now
        self._chunks.append(chunk)
        self.size += len(chunk)
