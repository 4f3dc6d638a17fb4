"""How late the event loop is: a task that sleeps for a moment and looks how much longer it took."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

INTERVAL = 0.25  # seconds between two measurements
LATE = 0.5  # seconds above which the loop is too late for anybody new
REMEMBERED = 60  # of them: the last quarter of a minute


class LoopLag:
    """Measures while `measure` runs, and tells each value, in seconds."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._last: deque[float] = deque(maxlen=REMEMBERED)
        self._late_for = 0.0

    @property
    def worst(self) -> float:
        """The worst lately, in seconds."""
        return max(self._last, default=0.0)

    @property
    def late_for(self) -> float:
        """Seconds for which every measurement has been above LATE."""
        return self._late_for

    def measured(self, lag: float) -> None:
        """It woke up `lag` seconds later than after INTERVAL."""
        self._last.append(lag)
        self._late_for = self._late_for + INTERVAL + lag if lag > LATE else 0.0
        self._tell(lag)

    async def measure(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.measured(max(0.0, loop.time() - due))
