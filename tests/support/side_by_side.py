"""Scenarios that mostly wait, played at the same time: each is judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from .cluster import on_a_fast_loop

Scenario = Callable[[], Awaitable[str]]  # returns what it measured


class Played:
    """How scenarios went, by their names."""

    def __init__(self, outcomes: Mapping[str, str | BaseException]) -> None:
        self._outcomes = outcomes

    def measured(self, name: str) -> str:
        """What one measured. Raises what it raised."""
        outcome = self._outcomes[name]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def play(scenarios: Mapping[str, Scenario]) -> Played:
    """Play all of them."""

    async def all_at_once() -> Played:
        outcomes = await asyncio.gather(*(scenario() for scenario in scenarios.values()), return_exceptions=True)
        return Played(dict(zip(scenarios, outcomes, strict=True)))

    return on_a_fast_loop(all_at_once())
