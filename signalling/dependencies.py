"""What this instance depends on beside itself, and how each of it is: for operators, for load balancers, in headers.

All of it is read from the machines that know: the guard of a circuit, the modes, and the record of what is degraded.
"""

from __future__ import annotations

from typing import Any

from state.guard import CircuitState, Guard

from .conference import Conference
from .degradation import fallbacks
from .events import Instant
from .health import Check, observed

Told = dict[str, Any]
WORST_FIRST = (CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED)
LAG_WARNING = 5.0  # seconds; while all is well a change is with the others within milliseconds


def notes(conference: Conference) -> list[str]:
    """What is away, in a word or two each."""
    return [f"{one.dependency}: {one.mode}" for one in conference.degraded.values()]


def headers(conference: Conference) -> dict[str, str]:
    """What an HTTP answer says about it; nothing while all is well."""
    if not conference.degraded:
        return {}
    away = [guard.state for name, guard in conference.cluster.circuits.items() if name in conference.degraded]
    states = [state.value for state in WORST_FIRST if state in away]
    return {"X-Degraded-Mode": "true", "X-Fallback-Used": ", ".join(fallbacks(conference))} | (
        {"X-Circuit-State": states[0]} if states else {}
    )


def circuit(guard: Guard, at: Instant) -> Told:
    """The circuit to a dependency: `since` in seconds since 1970, `next_trial` in seconds from now, if there is one."""
    tries = guard.state is not CircuitState.CLOSED and not guard.forced
    return {
        "dependency": guard.dependency,
        "state": guard.state.value,
        "forced": guard.forced,
        "reason": guard.reason or None,
        "since": at.wall_of(guard.since),
        "last_error": guard.last_error or None,
        "next_trial": round(guard.retry_after(at.now), 3) if tries else None,
        "calls": dict(guard.counts),
    }


def degraded(conference: Conference) -> list[Told]:
    """The one record of what is away, as clients are told it."""
    return [
        {
            "dependency": one.dependency,
            "mode": one.mode,
            "reason": one.reason,
            "since": one.since,
            "message": one.message,
        }
        for one in conference.degraded.values()
    ]


def checks(conference: Conference, at: Instant) -> dict[str, list[Check]]:
    """Every dependency in the form of the health check draft. A dependency that is away is a warning, never worse."""
    return {**_redis(conference, at), **_relays(conference, at)}


def _relays(conference: Conference, at: Instant) -> dict[str, list[Check]]:
    fleet = conference.relays
    if fleet is None or not fleet.standings:
        return {}
    handed_out = {offer.server for offer in (*fleet.offered.turn, *fleet.offered.stun)}
    found = []
    for server, standing in fleet.standings.items():
        state = "unknown" if standing.state is None else standing.state.value
        found.append(
            observed("component", state, "state", "pass" if state in ("up", "unknown") else "warn")
            | {
                "url": server.url,
                "handed_out": server in handed_out,
                "since": at.wall_of(standing.since),
                "reason": standing.last.reason or None if standing.last else None,
                "round_trip": None if standing.round_trip is None else round(standing.round_trip, 4),
            }
        )
    return {"turn:servers": found} | (
        {"turn:network": [observed("system", "cut off", "state", "warn")]} if fleet.cut_off else {}
    )


def _redis(conference: Conference, at: Instant) -> dict[str, list[Check]]:
    sharing = conference.cluster.sharing
    if sharing is None:
        return {}
    guard, modes = sharing.guard, sharing.modes
    found = circuit(guard, at)
    closed = guard.state is CircuitState.CLOSED
    lag = max(0.0, sharing.ours.lag(at.now))
    nodes = [
        {"node": record.node, "url": record.url, "region": record.region, "live": sharing.members.is_live(record.node)}
        for record in sharing.members.nodes.values()
    ]
    return {
        "redis:circuit": [
            observed("datastore", guard.state.value, "state", "pass" if closed else "warn")
            | {name: found[name] for name in ("since", "reason", "last_error", "forced", "next_trial")}
        ],
        "redis:mode": [
            observed("datastore", modes.mode.value, "mode", "warn" if modes.degraded else "pass")
            | {"since": at.wall_of(modes.since), "reason": modes.reason or None}
        ],
        "redis:replicationLag": [observed("datastore", round(lag, 3), "s", "warn" if lag > LAG_WARNING else "pass")],
        "redis:nodes": [observed("component", len(nodes), "count") | {"node": sharing.record.node, "others": nodes}],
    }
