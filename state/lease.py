"""Our lease with the store: when to renew it next, and whether we may think that we still hold it."""

from __future__ import annotations

from dataclasses import dataclass

from .timing import Timing

SURELY = 3  # announcements in a row that fail are no chance


@dataclass(slots=True)
class Lease:
    """Times are seconds on a monotonic clock."""

    timing: Timing
    next: float  # when to announce ourselves again
    reachable: bool = False  # an announcement went through since the circuit last opened
    announcing: bool = False
    why: str = ""  # the last announcement failed
    _failed: int = 0  # announcements in a row
    _renewed: float = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether to announce ourselves now."""
        return not self.announcing and now >= self.next

    def asked(self, sent: bool, healthy: bool, now: float) -> None:
        """We announced ourselves, or the circuit did not let us. `healthy`: the circuit is closed."""
        self.announcing = sent
        self.next = now + (self.timing.canary if healthy else self.timing.canary_while_away)

    def failed(self, healthy: bool, why: str, now: float) -> None:
        """An announcement failed, or nobody knows. If that is our own fault, the circuit stays closed, so who loses the
        lease over it must see that here; but one failure is nothing when this process stood still."""
        self.announcing = False
        self.why = why
        self._failed += 1
        if self._failed >= SURELY and not self.is_held(now):
            self.reachable = False
        self.next = now + (self.timing.canary_in_doubt if healthy else self.timing.canary_while_away)

    def answered(self, now: float) -> None:
        """The store answered."""
        self.announcing = False
        self.why, self._failed = "", 0
        self.next = min(self.next, now + self.timing.canary)

    def renewed(self, now: float) -> None:
        """The lease is ours from now on."""
        self.reachable = True
        self._renewed = now

    def is_held(self, now: float) -> bool:
        """Whether nobody else can have it. Who stood still for longer must ask before it writes anything."""
        return now - self._renewed < self.timing.lease

    def is_fresh(self, now: float) -> bool:
        """Whether we know well who else lives."""
        return now - self._renewed < 2 * self.timing.canary
