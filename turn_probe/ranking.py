"""The order in which servers are handed out: the quickest first, changed only for a clear and lasting difference."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

CLEARLY = 0.8  # of the other's round trip at most
SECONDS = 0.010  # and so much less
ROUNDS = 3  # in a row


def clearly_better(one: float, other: float) -> bool:
    """Whether a round trip of `one` is worth a change beside `other`; both in seconds."""
    return one < CLEARLY * other and other - one > SECONDS


class Ranking(Generic[T]):
    """Begins in the order that was configured."""

    def __init__(self, items: Sequence[T]) -> None:
        self.order = list(items)
        self._ahead: dict[T, int] = {}  # for how many rounds in a row it was clearly better than the one before it

    def measured(self, item: T, round_trips: dict[T, float]) -> bool:
        """`item` was measured; `round_trips` are the smoothed ones of all. True if the order changed."""
        place = self.order.index(item)
        rivals = [other for other in self.order[:place] if other in round_trips]
        if not rivals or not clearly_better(round_trips[item], round_trips[rivals[-1]]):
            self._ahead[item] = 0
            return False
        self._ahead[item] = self._ahead.get(item, 0) + 1
        if self._ahead[item] < ROUNDS:
            return False
        self._ahead.clear()
        # Past all of the neighbours before it that it beats.
        passed = rivals[-1]
        for rival in reversed(rivals):
            if not clearly_better(round_trips[item], round_trips[rival]):
                break
            passed = rival
        self.order.remove(item)
        self.order.insert(self.order.index(passed), item)
        return True
