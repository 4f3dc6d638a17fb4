"""How the calls of the last seconds went, kept in ten buckets however many calls there are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

BUCKETS = 10


@dataclass(slots=True)
class _Bucket:
    number: int  # counts tenths of the window
    calls: int = 0
    failed: int = 0
    slow: int = 0


class RecentCalls:
    """Counts over a sliding window of `window` seconds; a call is forgotten between 0.9 and 1 window after it ended."""

    def __init__(self, window: float) -> None:
        self._width = window / BUCKETS
        self._buckets: deque[_Bucket] = deque()
        self.calls = 0
        self.failed = 0
        self.slow = 0

    def add(self, now: float, *, failed: bool = False, slow: bool = False) -> None:
        """Count a call that ended at `now`, and forget those that are too old by then."""
        number = int(now // self._width)
        while self._buckets and self._buckets[0].number <= number - BUCKETS:
            self._count(self._buckets.popleft(), -1)
        if not self._buckets or self._buckets[-1].number < number:
            self._buckets.append(_Bucket(number))
        one = _Bucket(number, 1, int(failed), int(slow))
        bucket = self._buckets[-1]
        bucket.calls += one.calls
        bucket.failed += one.failed
        bucket.slow += one.slow
        self._count(one, 1)

    def clear(self) -> None:
        """Forget all calls."""
        self._buckets.clear()
        self.calls = self.failed = self.slow = 0

    def _count(self, bucket: _Bucket, sign: int) -> None:
        self.calls += sign * bucket.calls
        self.failed += sign * bucket.failed
        self.slow += sign * bucket.slow
