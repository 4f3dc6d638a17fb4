"""The mode machine: with whom this instance shares its rooms now, changed slowly enough for people to follow.

Every `now`, `at`, `since` and length is in seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """How an instance stands to the others."""

    SINGLE = "single"  # there are none, by choice
    CLUSTERED = "clustered"  # rooms are shared
    STANDALONE = "standalone"  # the shared store is away, so only what is here is known for sure
    RECONCILING = "reconciling"  # the store is back; what happened meanwhile is being exchanged

    @property
    def degraded(self) -> bool:
        """Whether something that should work does not."""
        return self in (Mode.STANDALONE, Mode.RECONCILING)

    @property
    def shares(self) -> bool:
        """Whether what happens here is written to the store at once."""
        return self in (Mode.CLUSTERED, Mode.RECONCILING)


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A change at `at`. What it tells began at `since`, which is earlier where a minimum stay held the change back;
    clients hear of it if `announced`."""

    mode: Mode
    before: Mode
    reason: str
    since: float
    at: float
    announced: bool = True


@dataclass(frozen=True)
class Stays:
    """How long a mode lasts at least. Raises ValueError for what makes no sense."""

    first: float = 5.0  # the shortest minimum stay
    most: float = 60.0  # the longest one, after doublings
    calm: float = 60.0  # a clustered spell that ends before it is restless, and doubles the minimum stay
    quiet: float = 2.5  # at the start the store may be away for so long before clients are told

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.most or self.calm <= 0 or self.quiet < 0:
            raise ValueError("first must be more than 0 s and at most most, calm more than 0 s, quiet at least 0 s")


class Modes:
    """The mode of one instance that shares its rooms through a store. It starts standalone, without a minimum stay."""

    def __init__(self, now: float, stays: Stays = Stays()) -> None:
        self.mode = Mode.STANDALONE
        self.reason = "not connected yet"
        self.since = now
        self.stay = 0.0  # the minimum stay in force
        self.announced = False
        self._stays = stays
        self._length = stays.first  # of the next minimum stay
        self._started = now
        self._entered = now
        self._trouble: float | None = None  # since when samples are unhealthy without a break
        self._undisturbed = now  # since when the clustered spell has seen no unhealthy sample
        self._fell = False  # from CLUSTERED, ever

    @property
    def degraded(self) -> bool:
        """Whether something that should work does not."""
        return self.mode.degraded

    def update(self, now: float, *, healthy: bool, reason: str) -> ModeChange | None:
        """Take in a sample of the store's health: the circuit is closed and a recent write went through, or not and
        `reason` why."""
        if self.mode is Mode.STANDALONE and not healthy and now - self._started >= self._stays.quiet:
            self.announced = True  # but not while the first exchange lasts, in which nothing is missed yet
        if healthy:
            self._trouble = None
            if self.mode is Mode.STANDALONE and self._may_leave(now):
                return self._enter(Mode.RECONCILING, now, reason or "the store answers again", now, stay=0.0)
            return None
        if self._trouble is None:
            self._trouble = now
        if self.mode is Mode.CLUSTERED:
            return self._fall(now, reason, self._trouble)
        if self.mode is Mode.RECONCILING:
            return self._enter(Mode.STANDALONE, now, reason, self._trouble, stay=self._length)
        self.reason = reason or self.reason
        return None

    def again(self, now: float) -> ModeChange:
        """The mode as it has been for a while, for people who were not told when it began."""
        return ModeChange(self.mode, self.mode, self.reason, self.since, now)

    def reconciled(self, now: float) -> ModeChange | None:
        """What RECONCILING was for is done."""
        if self.mode is not Mode.RECONCILING:
            return None
        # The first spell may end at any time: an outage is told within seconds unless they have become many.
        self._undisturbed = now
        change = self._enter(Mode.CLUSTERED, now, "reconciled", now, stay=self._length if self._fell else 0.0)
        self.announced = True
        return change

    def _may_leave(self, now: float) -> bool:
        return now >= self._entered + self.stay

    def _fall(self, now: float, reason: str, since: float) -> ModeChange | None:
        """Go from CLUSTERED to STANDALONE, or remember the disturbance if it is too early for that."""
        calm = now - self._undisturbed >= self._stays.calm
        if not self._may_leave(now):
            # A spell that lasts only because it is held is not calm, however long the minimum stay makes it.
            self._undisturbed = now
            return None
        self._length = self._stays.first if calm or not self._fell else min(2 * self._length, self._stays.most)
        self._fell = True
        return self._enter(Mode.STANDALONE, now, reason, since, stay=self._length)

    def _enter(self, mode: Mode, now: float, reason: str, since: float, *, stay: float) -> ModeChange:
        change = ModeChange(mode, self.mode, reason, since, now, self.announced)
        self.mode, self.reason, self.since, self.stay = mode, reason, since, stay
        self._entered = now
        return change
