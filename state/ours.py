"""Our slices of all rooms, and in which order they are due to be written."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator

from .model import RoomName
from .own import OwnSlice
from .slices import NOTHING
from .timing import Timing

NEVER = float("inf")


class Ours:
    """The slices that this instance writes. Times are in seconds on a monotonic clock."""

    def __init__(self, timing: Timing) -> None:
        self.slices: dict[RoomName, OwnSlice] = {}
        self._timing = timing
        self._agenda: list[tuple[float, int, RoomName]] = []  # a heap; an entry that `due` does not confirm is void
        self._order = itertools.count()
        self._unsettled: dict[RoomName, None] = {}  # of which the store does not have all
        self._floor = NOTHING  # the largest version of slices that are gone from here

    def __contains__(self, room: RoomName) -> bool:
        return room in self.slices

    def __iter__(self) -> Iterator[OwnSlice]:
        return iter(self.slices.values())

    def slice(self, room: RoomName, now: float) -> OwnSlice:
        """Our slice of a room; the first look makes one."""
        own = self.slices.get(room)
        if own is None:
            # Who comes back to a room goes on above the versions that others may remember.
            own = self.slices[room] = OwnSlice(room, due=now, version=self._floor)
        return own

    def schedule(self, own: OwnSlice, due: float) -> None:
        """Have a slice written at `due`, or earlier if it is due then. One that is being written waits for its turn."""
        own.due = min(own.due, due)
        if own.is_stored:
            self._unsettled.pop(own.room, None)
        else:
            self._unsettled.setdefault(own.room)
        if own.writing is None:
            heapq.heappush(self._agenda, (own.due, next(self._order), own.room))

    def take_due(self, now: float) -> OwnSlice | None:
        """One that is to be written now; it is due no more until it is scheduled again."""
        while self._agenda and self._agenda[0][0] <= now:
            due, _, room = heapq.heappop(self._agenda)
            own = self.slices.get(room)
            if own is not None and own.writing is None and own.due <= due:
                own.due = NEVER
                return own
        return None

    def settled(self, own: OwnSlice, now: float) -> bool:
        """A write of this slice ended: schedule the next. Returns True if none is needed ever: it is gone."""
        watched = own.watched_until > now
        if own.is_empty and own.is_stored and not watched:
            del self.slices[own.room]
            self._unsettled.pop(own.room, None)
            self._floor = max(self._floor, own.version)
            return True
        if own.is_stored:
            self.schedule(own, now + (self._timing.renew if own.members or watched else self._timing.renew_empty))
        else:
            self.schedule(own, min(own.due, now) if own.due != NEVER else now)
        return False

    def retry(self, own: OwnSlice, now: float) -> None:
        """A write of this slice failed."""
        own.failed(now, now + self._timing.retry)
        self.schedule(own, own.due)

    def begin_anew(self, now: float, chance: Callable[[], float]) -> None:
        """Write all again within `spread`; `chance` draws numbers from 0 to 1."""
        for own in self.slices.values():
            own.distrust(now, now + self._timing.spread * chance())
            self.schedule(own, own.due)

    def rename(self, now: float) -> None:
        """Write all again, as an instance with another id."""
        self._floor = NOTHING
        for own in self.slices.values():
            own.rename(now)
            self.schedule(own, now)

    def empty(self, now: float) -> None:
        """Nobody is here any more; what lasts stays."""
        for own in self.slices.values():
            own.change(dict.fromkeys(own.members), now)
            own.set_settings(own.settings.emptied(), now)
            own.watched_until = now
            self.schedule(own, now)

    def life(self, own: OwnSlice) -> float:
        """For how many seconds the store should keep a slice that is not renewed."""
        if own.settings.lasting.context:  # a ban, or that it was lifted
            return self._timing.lasting_life
        return self._timing.slice_life if own.members else self._timing.empty_life

    def lag(self, now: float) -> float:
        """For how many seconds the oldest change has not reached the store; 0.0 if all have."""
        since = (self.slices[room].dirty_since for room in self._unsettled)
        return now - min((at for at in since if at is not None), default=now)

    @property
    def are_stored(self) -> bool:
        """The store has all that there is to say."""
        return not self._unsettled
