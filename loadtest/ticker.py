"""One clock for all peers of a process: paces their media without a task or a timer per peer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# A shorter interval paces more evenly, a longer one costs fewer wake-ups.
INTERVAL = 0.010


class Ticker:
    """Calls each subscriber every 10 ms with the monotonic time. `run` is for a task of the owner."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[float], None]] = []
        self.latest = 0.0
        """The longest delay of a tick so far, in seconds: whether this process kept up."""

    def add(self, subscriber: Callable[[float], None]) -> None:
        """Call `subscriber` at each tick from now on."""
        self._subscribers.append(subscriber)

    def remove(self, subscriber: Callable[[float], None]) -> None:
        """Call `subscriber` no more; unknown ones are ignored."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    async def run(self) -> None:
        """Tick until cancelled."""
        due = time.monotonic()
        while True:
            due += INTERVAL
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            self.latest = max(self.latest, now - due)
            if now - due > INTERVAL:
                due = now  # ticks that were missed are not made up for
            for subscriber in tuple(self._subscribers):
                subscriber(now)
