"""What operators may do to circuits: look at them, hold them open, let go of them, and close them.

`by` is the operator's name for the log. A verb that raises Refused has changed nothing. After `release` and `reset` the
dependency is tried at once, and what follows takes its usual way: an instance that served alone exchanges with the
others what happened meanwhile.
"""

from __future__ import annotations

from typing import Any

from state.guard import Guard

from .commands import Logged
from .conference import Conference, Refused
from .dependencies import circuit


def told(conference: Conference) -> dict[str, Any]:
    """All circuits."""
    return {"circuits": [circuit(guard, conference.at) for guard in conference.cluster.circuits.values()]}


def force_open(conference: Conference, dependency: str, reason: str, by: str) -> None:
    """Do without a dependency, in whatever state it is, until let go of. Raises Refused: unknown_dependency."""
    for guard in _chosen(conference, dependency):
        guard.force_open(conference.at.now, reason)
        _log(conference, guard, f"forced open by {by!r} ({reason})")


def release(conference: Conference, dependency: str | None, by: str) -> None:
    """End `force_open` (None: of all): a trial decides whether it closes. Raises Refused: unknown_dependency."""
    for guard in _chosen(conference, dependency):
        if guard.forced:
            guard.release(conference.at.now)
            _log(conference, guard, f"released by {by!r}")
    conference.cluster.try_now(conference.at.now)


def reset(conference: Conference, dependency: str | None, by: str) -> None:
    """Close a circuit (None: all), forced open or not, and forget its errors. Raises Refused: unknown_dependency."""
    for guard in _chosen(conference, dependency):
        guard.reset(conference.at.now)
        _log(conference, guard, f"reset by {by!r}")
    conference.cluster.try_now(conference.at.now)


def _chosen(conference: Conference, dependency: str | None) -> list[Guard]:
    circuits = conference.cluster.circuits
    if dependency is None:
        return list(circuits.values())
    if dependency not in circuits:
        raise Refused("unknown_dependency", "This instance depends on nothing of that name.", field="dependency")
    return [circuits[dependency]]


def _log(conference: Conference, guard: Guard, what: str) -> None:
    conference.do(Logged("warning", f"Circuit to {guard.dependency}: {what}"))
