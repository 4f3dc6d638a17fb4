"""What a probe found: a verdict with its reason, and each step with its time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .turn import Address
from .urls import Server

STEPS = ("resolve", "connect", "binding", "redirect", "challenge", "allocate", "bind", "echo", "release")


class Verdict(Enum):
    """What a server is, in classes that call for different deeds."""

    UP = "up"
    OPEN_RELAY = "open_relay"  # it relays for everybody: works, but somebody should know
    OVERLOADED = "overloaded"  # it is there, and full
    DOWN = "down"  # nobody, no answer, or none that makes sense
    CREDENTIAL_ERROR = "credential_error"  # none of our secrets is its own, or its clock is wrong
    PEER_FORBIDDEN = "peer_forbidden"  # it allocates, and will not relay to our media port
    RELAY_SILENT = "relay_silent"  # it allocates, and nothing comes through
    TLS_ERROR = "tls_error"  # nobody can be sure that it is the server
    CERTIFICATE_EXPIRED = "certificate_expired"
    OWN_NETWORK_BROKEN = "own_network_broken"  # says nothing about the server

    @property
    def usable(self) -> bool:
        """Whether clients can do something with the server."""
        return self in (Verdict.UP, Verdict.OPEN_RELAY, Verdict.OVERLOADED)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a probe; `error` is empty if it went well."""

    name: str
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a probe found. `login` is the number of the credentials that were accepted, if any were asked for.

    Of a name with several addresses it is about the one that answers; if none does, about that which says most.
    """

    server: Server
    verdict: Verdict
    reason: str
    steps: tuple[Step, ...]
    address: Address | None = None  # of the server, or of the one to which it sent us on
    mapped: Address | None = None  # ours, as the server sees it
    relayed: Address | None = None
    login: int | None = None
    round_trip: float | None = None  # seconds, the median through the relay or to the STUN server
    loss: float | None = None  # share of what was sent and did not come back
    quiet: float = 0.0  # seconds for which nothing was heard of it at the end

    @property
    def was_reached(self) -> bool:
        """Whether the server itself said something, so that there is a way to it. TLS that fails may be a proxy's."""
        refusals = (Verdict.CREDENTIAL_ERROR, Verdict.PEER_FORBIDDEN, Verdict.RELAY_SILENT)
        return self.verdict.usable or self.verdict in refusals or self.relayed is not None

    @property
    def was_sent_on(self) -> bool:
        """Whether the server named another one to ask instead."""
        return any(step.name == "redirect" for step in self.steps)

    @property
    def failed_step(self) -> str:
        """Where it failed; empty if it did not."""
        return next((step.name for step in self.steps if step.error), "")
