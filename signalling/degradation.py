"""Degraded modes as people hear of them: what is away, since when, and what that means; told once, and once when over.

One record says it everywhere: in the notices to clients, in `welcome`, in the log, at `/health/detailed`, at `/metrics`
and in the headers of HTTP answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.modes import Mode

from . import messages as m
from .commands import Logged
from .conference import Conference

STANDALONE = (
    "Your call goes on. The servers cannot hear from each other just now, so people who are connected through another "
    "server may be missing or out of date until they can."
)
TOGETHER_AGAIN = "The servers hear from each other again, and everybody is up to date."


@dataclass(frozen=True, slots=True)
class Fallback:
    """What is used in a degraded mode, in the words of headers and metrics."""

    name: str
    loses: str  # what may be lost, for the log


FALLBACKS: Mapping[str, Fallback] = {
    Mode.STANDALONE.value: Fallback(
        "redis-memory", "chat and moderation of people on other instances is not delivered"
    ),
    Mode.RECONCILING.value: Fallback("redis-memory", "nothing more"),
    "stun-only": Fallback("stun-only", "who needs a relay cannot connect"),
}
NAMES_OF_FALLBACKS = tuple(sorted({fallback.name for fallback in FALLBACKS.values()}))


def fallbacks(conference: Conference) -> list[str]:
    """What stands in for something just now, each once."""
    return sorted({FALLBACKS[one.mode].name for one in conference.degraded.values() if one.mode in FALLBACKS})


def begin(conference: Conference, dependency: str, mode: str, reason: str, since: float, message: str) -> None:
    """Something is away, or in another mode of being away. `since` in seconds on the clock of events."""
    before = conference.degraded.get(dependency)
    now = m.Degradation(
        dependency=dependency,
        mode=mode,
        reason=reason,
        since=conference.at.wall_of(since) if before is None else before.since,
        message=message,
    )
    conference.degraded[dependency] = now
    if before is not None:
        return
    fallback = FALLBACKS[mode]
    conference.episodes.begin(dependency, fallback.name, since)
    conference.do(
        Logged("warning", f"Degraded: {dependency} is away ({reason}); now {mode}. What may be lost: {fallback.loses}.")
    )
    for session in conference.sessions.values():
        conference.send(session, m.Degraded(degradation=now))


def over(conference: Conference, dependency: str, message: str) -> None:
    """It is back."""
    before = conference.degraded.pop(dependency, None)
    if before is None:
        return
    conference.episodes.end(dependency, conference.at.now)
    lasted = conference.at.wall - before.since
    conference.do(Logged("warning", f"Recovered: {dependency} is back after {lasted:.1f} s in mode {before.mode}."))
    for session in conference.sessions.values():
        conference.send(session, m.Recovered(dependency=dependency, message=message))
