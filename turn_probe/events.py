"""What a probe asks for and what it is told: the only words between it and the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .report import Verdict
from .turn import Address
from .urls import Server


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look a name up; `Resolved` or `Broken` follows."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect, over TLS with the certificate verified for the host of `server`; `Connected` or `Broken` follows."""

    address: Address
    server: Server


@dataclass(frozen=True, slots=True)
class Send:
    """Send one datagram, or these bytes of a stream."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FindEcho:
    """Say who answers checks that come through the relay; `EchoFound` follows."""

    relayed: Address
    mapped: Address | None


@dataclass(frozen=True, slots=True)
class Mirroring:
    """From now on checks that arrive at `relayed` are answered."""

    relayed: Address


Action = Resolve | Connect | Send | FindEcho | Mirroring


@dataclass(frozen=True, slots=True)
class Resolved:
    """The addresses of the server."""

    addresses: Sequence[Address]


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a connection; over UDP, at least a route."""


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes from the server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """What was asked for cannot be had, or the connection is gone."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class EchoFound:
    """Who answers checks for `ufrag` signed with `password`, at any of these addresses; unless `signed`, whatever comes
    back is an answer, be it the check itself."""

    peers: Sequence[Address]
    ufrag: str
    password: str = field(repr=False)
    signed: bool = True


@dataclass(frozen=True, slots=True)
class TimeUp:
    """`wake_at` has come."""


Event = Resolved | Connected | Received | Broken | EchoFound | TimeUp
