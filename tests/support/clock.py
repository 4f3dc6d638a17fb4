"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FakeClock:
    """Monotonic time in seconds: call it to read it, `advance` to let time pass."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let `seconds` pass and return the new time. Time never goes back."""
        assert seconds >= 0
        self.now += seconds
        return self.now
