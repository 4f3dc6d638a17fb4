"""The exchange with others after the return of the store: how long they have, and what nobody was told of meanwhile.

It is over when all that we have to say is stored, all that others said is read, and they had time to say it. Nobody
says when they are done, but for a while nothing new comes then.
"""

from __future__ import annotations

from collections import deque

from .model import RoomName
from .timing import Timing


class Reconciliation:
    """Every `now` is in seconds of one monotonic clock."""

    def __init__(self, timing: Timing, now: float) -> None:
        self.seconds: deque[float] = deque(maxlen=1000)  # that each took; whoever reads them takes them out
        self.changed: set[RoomName] = set()  # rooms of which nobody was told what changed, while we are not clustered
        self._timing = timing
        self._began = now
        self._news_at = now

    def begin(self, now: float) -> None:
        """The store is back."""
        self._began = self._news_at = now

    def heard(self, now: float) -> None:
        """Something that another instance said is new."""
        self._news_at = now

    def is_over(self, now: float, *, exchanged: bool, alone: bool) -> bool:
        """Whether it may end. `exchanged`: all of ours is stored and all of theirs read; `alone`: there is nobody."""
        lasts, timing = now - self._began, self._timing
        if lasts >= timing.settle_most or (exchanged and alone):
            return True
        return exchanged and now >= max(self._began + timing.settle, self._news_at + timing.settle / 2)

    def end(self, now: float) -> tuple[RoomName, ...]:
        """It is over; returns the rooms in which something changed."""
        self.seconds.append(now - self._began)
        rooms, self.changed = tuple(self.changed), set()
        return rooms
