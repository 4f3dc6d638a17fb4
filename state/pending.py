"""Requests to the store that are under way, each with the permit of the guard that let it out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from .guard import CircuitOpen, Guard, Outcome, Permit
from .store import Request, StoreError


@dataclass(frozen=True, slots=True)
class Pending:
    """A request to carry out; `Sharing.answered` or `Sharing.failed` must follow."""

    id: int
    request: Request


class Requests:
    """What was asked and not answered yet. Times are seconds on a monotonic clock."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[Request, Permit]] = {}
        self._new: list[Pending] = []

    def ask(self, request: Request, now: float, *, early: bool = False) -> bool:
        """Have a request carried out, if the circuit lets it."""
        try:
            permit = self._guard.acquire(now, early=early)
        except CircuitOpen:
            return False
        pending = Pending(next(self._ids), request)
        self._pending[pending.id] = request, permit
        self._new.append(pending)
        return True

    def take(self) -> list[Pending]:
        """What is to be carried out now."""
        new, self._new = self._new, []
        return new

    def answered(self, id: int, now: float) -> Request | None:
        """What was asked; None if the answer means nothing any more."""
        if id not in self._pending:
            return None
        request, permit = self._pending.pop(id)
        self._guard.record(permit, Outcome.SUCCESS, now)
        return request

    def failed(self, id: int, error: StoreError, now: float) -> Request | None:
        """What was asked; None if that means nothing any more."""
        if id not in self._pending:
            return None
        request, permit = self._pending.pop(id)
        outcome = Outcome.IGNORED if error.ours else Outcome.FATAL if error.lasting else Outcome.FAILURE
        self._guard.record(permit, outcome, now, error.reason)
        return request

    def forget(self) -> None:
        """Whatever was asked was asked as somebody else."""
        for _, permit in self._pending.values():
            self._guard.record(permit, Outcome.IGNORED, permit.at)
        self._pending.clear()
        self._new.clear()
