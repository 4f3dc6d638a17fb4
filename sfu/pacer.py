"""Replays leave at a pace: a few at once, the others only somewhat faster than the stream that they repair.

After an outage a receiver asks for a hundred packets in one breath. Sent in one burst they would fill the very queue
whose overflow lost them.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

# Of the stream's own bitrate, on top of it: faster repairs sooner, slower leaves more room for what is new.
_SHARE = 1.5
# A stream that has sent too little to be measured, or hardly anything, is repaired at 300 kbit/s.
_LEAST_RATE = 300_000 / 8  # bytes per second
# Single losses are repaired without delay.
_AT_ONCE = 6000.0  # bytes
# Seconds between two flushes; a flush may send what the time since the last one allows.
_INTERVAL = 0.020
# What comes later than this is of no use: the picture has frozen, and a keyframe is on its way.
_LATEST = 0.5
# Over a shorter time a keyframe would look like a bitrate.
_MEASURED_OVER = 1.0


class Pacer(Generic[Item]):
    """The replays of one stream that wait for their turn. Times are in seconds, sizes in bytes."""

    __slots__ = ("_allowance", "_allowed_at", "_bytes", "_measured_at", "_octets", "_rate", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._rate = _LEAST_RATE
        self._allowance = _AT_ONCE
        self._allowed_at = 0.0
        self._octets = 0
        self._measured_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def measure(self, octets: int, now: float) -> None:
        """The stream has sent so many bytes since it began."""
        if self._measured_at is None:
            self._octets, self._measured_at = octets, now
        elif now - self._measured_at >= _MEASURED_OVER:
            rate = _SHARE * (octets - self._octets) / (now - self._measured_at)
            self._rate = max(_LEAST_RATE, rate)
            self._octets, self._measured_at = octets, now

    def put(self, item: Item, size: int) -> bool:
        """Let a replay wait for its turn. False if that would come too late."""
        if self._bytes + size > max(_AT_ONCE, _LATEST * self._rate):
            return False
        self._waiting.append((item, size))
        self._bytes += size
        return True

    def take(self, now: float) -> list[Item]:
        """Those whose turn it is, oldest first."""
        most = max(_AT_ONCE, _INTERVAL * self._rate)
        self._allowance = min(most, self._allowance + (now - self._allowed_at) * self._rate)
        self._allowed_at = now
        taken = []
        while self._waiting and self._allowance > 0:  # the last may overdraw, and the next pay for it
            item, size = self._waiting.popleft()
            self._bytes -= size
            self._allowance -= size
            taken.append(item)
        return taken
