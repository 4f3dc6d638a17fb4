"""Episodes: for how long this instance has been degraded, now and in all, and how often something stood in.

An episode lasts from the first dependency that goes away until none is away any more. All times are in seconds on one
monotonic clock.
"""

from __future__ import annotations

from collections import Counter


class Episodes:
    """What was degraded since the start."""

    def __init__(self) -> None:
        self.activations: Counter[str] = Counter()  # how often each fallback began to stand in
        self._away: set[str] = set()
        self._since: float | None = None  # the start of the present episode
        self._earlier = 0.0  # seconds of all that are over
        self._ended = float("-inf")  # the end of the last one

    def begin(self, dependency: str, fallback: str, since: float) -> None:
        """A dependency went away at `since`, and `fallback` stands in for it."""
        self.activations[fallback] += 1
        self._away.add(dependency)
        # It may have begun before it was told, but no second counts twice.
        since = max(since, self._ended)
        self._since = since if self._since is None else min(self._since, since)

    def end(self, dependency: str, now: float) -> None:
        """It is back."""
        self._away.discard(dependency)
        if self._since is not None and not self._away:
            self._earlier += self.present(now)
            self._since, self._ended = None, now

    def present(self, now: float) -> float:
        """Seconds of the present episode; 0 if there is none."""
        return 0.0 if self._since is None else max(0.0, now - self._since)

    def total(self, now: float) -> float:
        """Seconds of all episodes, the present one too."""
        return self._earlier + self.present(now)
