"""Reports for people, as a table with a line per server, and for programs, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .report import STEPS, Report, Verdict

BAD = "✗"


def table(reports: Sequence[Report]) -> str:
    """A line per server with the milliseconds of each step, and below it why something failed."""
    used = [name for name in STEPS if any(step.name == name for report in reports for step in report.steps)]
    rows = [["server", "state", *used, "round trip", "lost"]]
    for report in reports:
        steps = {step.name: f"{1000 * step.seconds:.0f}{f' {BAD}' if step.error else ''}" for step in report.steps}
        rows.append(
            [
                report.server.url,
                report.verdict.value,
                *(steps.get(name, "-") for name in used),
                "-" if report.round_trip is None else f"{1000 * report.round_trip:.1f}",
                "-" if report.loss is None else f"{100 * report.loss:.0f} %",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_cell(text, widths[n], left=n < 2) for n, text in enumerate(row)).rstrip() for row in rows]
    return "\n".join([*lines, *_notes(reports), "Times are in milliseconds."])


def _cell(text: str, width: int, *, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def _notes(reports: Sequence[Report]) -> list[str]:
    notes = []
    for report in reports:
        if report.reason:
            step = f" at {report.failed_step}" if report.failed_step else ""
            notes.append(f"{report.server.url}: {report.verdict.value}{step}: {report.reason}")
        if report.was_sent_on and report.address:
            notes.append(f"{report.server.url}: it sends us on to {report.address[0]} port {report.address[1]}")
        if report.login:
            notes.append(f"{report.server.url}: it takes number {report.login + 1} of our credentials, not the first")
        if not report.server.relays and report.mapped:
            notes.append(f"{report.server.url}: sees us as {report.mapped[0]}")
    return notes


def plain(report: Report) -> dict[str, Any]:
    """The whole report for JSON. Times in seconds."""
    return {
        "url": report.server.url,
        "transport": report.server.transport.value,
        "state": report.verdict.value,
        "healthy": report.verdict is Verdict.UP,
        "reason": report.reason or None,
        "failed_step": report.failed_step or None,
        "steps": [{"step": s.name, "seconds": round(s.seconds, 6), "error": s.error or None} for s in report.steps],
        "address": report.address,
        "mapped_address": report.mapped,
        "relayed_address": report.relayed,
        "secret": None if report.login is None else report.login + 1,
        "round_trip": None if report.round_trip is None else round(report.round_trip, 6),
        "loss": report.loss,
    }
