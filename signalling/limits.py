"""Limits: token buckets and counters that refuse too much of something, with the time given by the caller.

Everything keyed by what a stranger may choose (an address) is bounded in memory: the entry unused for longest is
forgotten first. An IPv6 address counts by its /64, since one machine owns that many addresses.

Who shows a valid token is limited as the identity that it names, whatever address it comes from: many people may
share one. What is unverified, or fails, is limited by its address.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` on average, `burst` at once."""

    per_second: float
    burst: float


class TokenBucket:
    """Lets `rate.burst` pass at once and `rate.per_second` for ever."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, now: float) -> float:
        """0.0 if one may pass, else the seconds until one may."""
        wait = self.wait(now)
        if not wait:
            self._tokens -= 1.0
        return wait

    def spend(self, now: float) -> float:
        """Let one pass even if it has to be owed, and return the seconds until that is made up for, or 0.0."""
        self.wait(now)
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate.per_second)

    def wait(self, now: float) -> float:
        """What `take` would say, without taking."""
        rate = self._rate
        self._tokens = min(rate.burst, self._tokens + max(0.0, now - self._at) * rate.per_second)
        self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rate.per_second


class BucketPerKey:
    """One token bucket per key, for at most `most` keys."""

    def __init__(self, rate: Rate, most: int = 16_384) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float) -> float:
        """0.0 if one more of `key` may pass, else the seconds until it may."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)

    def wait(self, key: Hashable, now: float) -> float:
        """What `take` would say, without taking."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait(now)


class BucketPerAddress(BucketPerKey):
    """One token bucket per address."""

    def take(self, key: Hashable, now: float) -> float:
        """0.0 if one more from this address may pass, else the seconds until it may."""
        return super().take(network_of(str(key)), now)

    def wait(self, key: Hashable, now: float) -> float:
        """What `take` would say, without taking."""
        return super().wait(network_of(str(key)), now)


class CountPerKey:
    """How many things (connections) a key has open; holds an entry only while there is one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, key: Hashable) -> bool:
        """Count one more, or return False if that would be too many."""
        count = self._open.get(key, 0)
        if count >= self._most:
            return False
        self._open[key] = count + 1
        return True

    def leave(self, key: Hashable) -> None:
        """Count one less."""
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]


class CountPerAddress(CountPerKey):
    """How many things (connections) an address has open."""

    def enter(self, key: Hashable) -> bool:
        """Count one more, or return False if that would be too many."""
        return super().enter(network_of(str(key)))

    def leave(self, key: Hashable) -> None:
        """Count one less."""
        super().leave(network_of(str(key)))


class Strikes:
    """Counts offences and says when there were more than `most` within `window` seconds."""

    __slots__ = ("_count", "_most", "_since", "_window")

    def __init__(self, most: int, window: float, now: float) -> None:
        self._most = most
        self._window = window
        self._since = now
        self._count = 0

    def add(self, now: float) -> bool:
        """Count an offence; True if it is one too many."""
        if now - self._since >= self._window:
            self._since, self._count = now, 0
        self._count += 1
        return self._count > self._most


def network_of(address: str) -> str:
    """The address itself for IPv4 (also when mapped into IPv6), its /64 for IPv6, the text for anything else."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
