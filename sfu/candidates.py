"""The addresses at which we are reached, as SDP tells them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

# RFC 8445 §5.1.2.2: the recommended type preferences of what we have and of what our own checks come from.
_TYPE_PREFERENCES: Final = {"host": 126, "prflx": 110}
# RFC 6544 §4.2 leaves it to us; below all that is direct on UDP, above relays. Browsers take 90 as well.
_TCP_TYPE_PREFERENCE: Final = 90


def candidate_priority(kind: Literal["host", "prflx"], local_preference: int = 65535) -> int:
    """The priority of a candidate (RFC 8445 §5.1.2.1); `local_preference` (0 to 65535) orders those of one kind."""
    return _priority(_TYPE_PREFERENCES[kind], local_preference)


def tcp_priority(number: int = 0) -> int:
    """The priority of the `number`-th address at which we wait for TCP connections (RFC 6544 §4.2).

    Below everything direct on UDP, because on TCP whatever is lost holds up what comes after.
    """
    passive = 4  # the direction preference that is recommended for a host candidate
    return _priority(_TCP_TYPE_PREFERENCE, (passive << 13) + 8191 - number)


def _priority(type_preference: int, local_preference: int) -> int:
    component = 1  # the only one, as RTCP shares the port
    return (type_preference << 24) + (local_preference << 8) + (256 - component)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host candidate. On TCP we wait for the client to connect ("passive")."""

    address: str
    port: int
    priority: int = candidate_priority("host")
    foundation: str = "1"
    transport: Literal["udp", "tcp"] = "udp"

    def attribute(self) -> str:
        """The `a=candidate` line (RFC 8839 §5.1, RFC 6544 §4.5)."""
        waits = " tcptype passive" if self.transport == "tcp" else ""
        where = f"{self.address} {self.port} typ host{waits}"
        return f"a=candidate:{self.foundation} 1 {self.transport} {self.priority} {where}"

    @property
    def family(self) -> Literal["IP4", "IP6"]:
        """Of its address, as SDP writes it."""
        return "IP6" if ipaddress.ip_address(self.address).version == 6 else "IP4"


_NOWHERE: Final = Candidate("0.0.0.0", 9)  # noqa: S104 - written, not bound


def default_destination(candidates: Iterable[Candidate]) -> Candidate:
    """What most clients could reach, so UDP, and IPv4 where there is any (RFC 8445 §5.1.4)."""
    udp = (candidate for candidate in candidates if candidate.transport == "udp")
    return min(udp, key=lambda candidate: (candidate.family == "IP6", -candidate.priority), default=_NOWHERE)
