"""Who is connected and has not shown yet that it belongs to a call: few, for a short time, of each address fewer."""

from __future__ import annotations

import ipaddress
from typing import Final, Generic, NamedTuple, TypeVar

Who = TypeVar("Who")

# A client sends its check as soon as it is connected. At this number the one that waits longest makes room, so that who
# only holds connections open keeps nobody out; fewer would make room before slow clients have sent it. It is less in a
# process that may have few connections (tcp_port.py).
MOST: Final = 256
# Many people behind one address come at once when a server starts anew, and each makes a connection or two. Among them,
# too, the one that waits longest makes room: a neighbour who holds connections open keeps nobody out.
MOST_PER_ADDRESS: Final = 32
# Seconds until a stranger has to have sent its first check. A client on a bad network needs one or two.
PATIENCE: Final = 5.0


class Refusal(NamedTuple, Generic[Who]):
    """Somebody to be sent away, and the reason by which that is counted."""

    who: Who
    reason: str


class Strangers(Generic[Who]):
    """Times are monotonic seconds."""

    def __init__(self, most: int = MOST, most_per_address: int = MOST_PER_ADDRESS, patience: float = PATIENCE) -> None:
        self._most, self._most_per_address, self._patience = most, most_per_address, patience
        self._since: dict[Who, tuple[float, bytes]] = {}  # the longest first
        self._by_place: dict[bytes, dict[Who, None]] = {}  # likewise

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, who: object) -> bool:
        return who in self._since

    def enter(self, who: Who, host: str, now: float) -> Refusal[Who] | None:
        """Somebody came from `host`. Who has to make room for it, if anybody: the one that waits longest."""
        place = place_of(host)
        neighbours = self._by_place.get(place, {})
        refusal = None
        if len(neighbours) >= self._most_per_address:
            refusal = Refusal(next(iter(neighbours)), "too_many_of_address")
        elif len(self._since) >= self._most:
            refusal = Refusal(next(iter(self._since)), "too_many_strangers")
        if refusal is not None:
            self.leave(refusal.who)
        self._since[who] = now, place
        self._by_place.setdefault(place, {})[who] = None
        return refusal

    def leave(self, who: Who) -> None:
        """It is gone, or no stranger any more. Nothing happens if it was none."""
        _, place = self._since.pop(who, (0.0, None))
        if place is not None:
            del self._by_place[place][who]
            if not self._by_place[place]:
                del self._by_place[place]

    def late(self, now: float) -> list[Refusal[Who]]:
        """Those whose time is over; they stay in until they leave."""
        return [Refusal(who, "silent") for who, (since, _) in self._since.items() if now - since > self._patience]


def place_of(host: str) -> bytes:
    """What counts as one address: with IPv6 the first 64 bits, of which everybody has all the others."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return address.packed[:8] if address.ipv4_mapped is None else address.ipv4_mapped.packed
    return address.packed
