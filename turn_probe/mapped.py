"""How a STUN server sees this machine: the address at which others reach it behind a NAT that keeps ports."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from .one_shot import OneShot
from .report import Report
from .urls import Server


@dataclass(frozen=True, slots=True)
class Mapped:
    """Our own address, and what it looks like from outside."""

    local: str
    public: str
    by: str = field(default="", compare=False)  # the URL of the server that says so


class NotSeen(Exception):
    """No STUN server said how it sees us; the message tells what became of each."""


async def mapped_address(servers: Sequence[Server], one_shot: OneShot | None = None) -> Mapped:
    """Ask all of them; the first in their order that answers is believed. Raises NotSeen."""
    reports = await (one_shot or OneShot()).probe(servers)
    for report in reports:
        if report.mapped is not None and report.address is not None:
            return Mapped(_way_to(report), report.mapped[0], report.server.url)
    raise NotSeen("; ".join(f"{report.server.url}: {report.reason}" for report in reports))


def _way_to(report: Report) -> str:
    """From which of our addresses the server is reached; no packet is sent to find out."""
    address = report.address or ("", 0)
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect(address)
        return str(way.getsockname()[0])
