"""How this instance is, in the form of the health check draft (`application/health+json`).

`pass`: all is well; `warn`: it serves, but look at it; `fail`: it does not do its work. The words and the shape of
`checks` are those of draft-inadarei-api-health-check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MEDIA_TYPE = "application/health+json"
LAG_WARNING = 0.25  # seconds by which the event loop may be late

Check = dict[str, Any]
NOTHING: Mapping[str, list[Check]] = {}


def ready(causes: Sequence[str], notes: Sequence[str]) -> dict[str, Any]:
    """Whether people should be sent here: not for `causes` of its own; `notes` tell what else is not well."""
    told: dict[str, Any] = {"status": "fail" if causes else "warn" if notes else "pass", "serviceId": "auralink"}
    if causes:
        told["output"] = f"This instance takes nobody just now: {'; '.join(causes)}."
    if notes:
        told["notes"] = list(notes)
    return told


def detailed(
    *,
    version: str,
    uptime: float,
    lag: float,
    counts: Mapping[str, int],
    media: Mapping[str, float] | None,
    dependencies: Mapping[str, list[Check]] = NOTHING,
    degraded: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The whole picture. `uptime` and `lag` in seconds, `media` the media plane's gauges, None if it is mute."""
    checks: dict[str, list[Check]] = {
        "uptime": [observed("system", round(uptime, 1), "s")],
        "signalling:eventLoopLag": [
            observed("system", round(lag, 4), "s", "warn" if lag > LAG_WARNING else "pass"),
        ],
    }
    for name, count in counts.items():
        checks[f"signalling:{name}"] = [observed("component", count, "count")]
    if media is None:
        checks["media:answers"] = [observed("component", False, "boolean", "fail")]
    else:
        checks["media:answers"] = [observed("component", True, "boolean")]
        checks["media:peers"] = [observed("component", int(media.get("media_peers", 0)), "count")]
        checks["media:gso"] = [observed("component", bool(media.get("media_gso_enabled", 0)), "boolean")]
    checks.update(dependencies)
    found = {check["status"] for values in checks.values() for check in values}
    status = next(status for status in ("fail", "warn", "pass") if status in found)
    return {
        "status": status,
        "version": version.partition(".")[0],
        "releaseId": version,
        "serviceId": "auralink",
        "description": "AuraLink, a WebRTC signalling server and SFU",
        "degraded": list(degraded),
        "checks": checks,
    }


def observed(kind: str, value: float | str, unit: str, status: str = "pass") -> Check:
    """One check, as the draft has it."""
    return {"componentType": kind, "observedValue": value, "observedUnit": unit, "status": status}
