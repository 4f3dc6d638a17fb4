"""Asking: what the store is asked, how much of it at once, and when again what failed.

The announcement goes out whenever it is due, as a trial if the circuit is not closed. All else waits until there is
somebody to share with: a bounded number of writes and fetches at a time, and one batch of notes.
"""

from __future__ import annotations

from .guard import CircuitState, Guard
from .lease import Lease
from .model import NodeId
from .notes import Notes
from .ours import Ours
from .pending import Pending, Requests
from .store import Announce, FetchSlices, Post, Request, StoreError, WriteSlice
from .timing import Timing
from .view import View


class Asking:
    """Every `now` is in seconds of one monotonic clock."""

    def __init__(self, guard: Guard, lease: Lease, ours: Ours, view: View, notes: Notes, timing: Timing) -> None:
        self._guard = guard
        self._lease = lease
        self._ours = ours
        self._view = view
        self._notes = notes
        self._timing = timing
        self._requests = Requests(guard)
        self._writes = 0  # under way
        self._posting = False
        self._next_fetch = float("-inf")

    # ----------------------------------------------------------------------------------------------------- what to ask

    def announce(self, request: Announce, now: float) -> None:
        """Renew the lease."""
        sent = self._requests.ask(request, now, early=True)
        self._lease.asked(sent, self._is_closed, now)

    def exchange(self, node: NodeId, epoch: int, now: float) -> None:
        """Write what of ours is due, as `node` in `epoch`, fetch what others said, and post the notes that wait."""
        self._write(node, epoch, now)
        self._fetch(now)
        self._post(now)

    def take(self) -> list[Pending]:
        """What is to be carried out now."""
        return self._requests.take()

    def _write(self, node: NodeId, epoch: int, now: float) -> None:
        while self._writes < self._timing.max_writes and (own := self._ours.take_due(now)) is not None:
            if self._requests.ask(own.next_write(node, epoch, self._ours.life(own), now), now):
                self._writes += 1
            else:
                self._ours.retry(own, now)

    def _fetch(self, now: float) -> None:
        if now < self._next_fetch:
            return
        while (behind := self._view.take_behind()) is not None:
            if not self._requests.ask(FetchSlices(*behind), now):
                self._view.not_fetched(behind[0])
                return

    def _post(self, now: float) -> None:
        if self._notes and not self._posting:
            notes = self._notes.take(self._timing.notes_per_post)
            self._posting = self._requests.ask(Post(notes, self._timing.max_notes, self._timing.inbox_life), now)

    # ------------------------------------------------------------------------------------------------ what came of it

    def answered(self, id: int, now: float) -> Request | None:
        """The store answered; returns what was asked, or None if the answer means nothing any more."""
        request = self._requests.answered(id, now)
        match request:
            case Announce():
                self._lease.answered(now)
            case WriteSlice():
                self._writes -= 1
            case Post():
                self._posting = False
        return request

    def failed(self, id: int, error: StoreError, now: float) -> None:
        """The store did not answer, or not well; nobody knows what became of the request."""
        match self._requests.failed(id, error, now):
            case Announce():
                self._lease.failed(self._is_closed, error.reason, now)
            case WriteSlice(room=room):
                self._writes -= 1
                if (own := self._ours.slices.get(room)) is not None:
                    self._ours.retry(own, now)
            case FetchSlices(room=room):
                self._view.not_fetched(room)
                self._next_fetch = now + self._timing.retry
            case Post(notes=notes):
                self._posting = False
                self._notes.lost += len(notes)

    def forget(self, now: float) -> None:
        """Whatever was asked was asked as somebody else, or nobody knows what is left of it."""
        self._requests.forget()
        self._posting = self._lease.announcing = False
        self._writes = 0
        self._lease.next = now
        self._view.not_fetching()

    @property
    def _is_closed(self) -> bool:
        return self._guard.state is CircuitState.CLOSED
