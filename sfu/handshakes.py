"""DTLS handshakes take turns: so many at once and no more, and no room takes them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from .counters import Counters

# More at once hold more of OpenSSL's memory (some 100 kB each) and let a crowd that arrives take more turns of the
# loop between two batches of media; fewer make a crowd wait for each other's round trips.
MOST: Final = 64
# More lets a large room fill faster; fewer leaves more turns to other rooms when one holds its own half-open.
MOST_PER_ROOM: Final = 16


class Handshakes:
    """The turns. Who waits is bounded by the peers there are, and waits behind its own room first."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._all = asyncio.Semaphore(MOST)
        self._rooms: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self.running = 0

    @asynccontextmanager
    async def turn(self, room: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it while the block runs."""
        own, users = self._rooms.get(room) or (asyncio.Semaphore(MOST_PER_ROOM), 0)
        self._rooms[room] = own, users + 1
        try:
            if own.locked() or self._all.locked():
                self._counters.refused["handshake_delayed"] += 1
            async with own, self._all:
                self.running += 1
                try:
                    yield
                finally:
                    self.running -= 1
        finally:
            own, users = self._rooms.pop(room)
            if users > 1:
                self._rooms[room] = own, users - 1
