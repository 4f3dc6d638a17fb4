"""How late the event loop is: a task that sleeps for a moment and looks how much longer it took."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

INTERVAL = 0.25  # seconds between two measurements
REMEMBERED = 60  # of them: the last quarter of a minute


class LoopLag:
    """Measures while `measure` runs, and tells each value, in seconds."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._last: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def worst(self) -> float:
        """The worst lately, in seconds."""
        return max(self._last, default=0.0)

    async def measure(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            lag = max(0.0, loop.time() - due)
            self._last.append(lag)
            self._tell(lag)
