"""What stands in the store and none of us wrote: it is ignored, counted, and told now and then."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from .news import JunkFound

BETWEEN = 60.0  # seconds at least between two times that it is told: it may be found at every look


class Junk:
    """Counts it as `unreadable` and gives `tell` the last reason. Every `now` is in seconds of one monotonic clock."""

    def __init__(self, counts: MutableMapping[str, int], tell: Callable[[JunkFound], None]) -> None:
        self._counts = counts
        self._tell = tell
        self._next = float("-inf")
        self._untold = 0

    def found(self, reasons: Sequence[str], now: float) -> None:
        """For each of these reasons something was ignored."""
        self._counts["unreadable"] += len(reasons)
        self._untold += len(reasons)
        if reasons and now >= self._next:
            self._tell(JunkFound(reasons[-1], self._untold))
            self._next, self._untold = now + BETWEEN, 0
