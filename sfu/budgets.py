"""Budgets: how much of something one member, or all strangers together, may cost us per second.

What is over a budget is dropped before it costs more than the look at it, and counted by the reason for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` on average, `burst` at once."""

    per_second: float
    burst: float


# Of one publisher, in packets. More lets through what nobody's encoder makes (4 Mbit/s of video and audio are 500
# packets per second); fewer would cut a publisher with many tracks of small packets.
PUBLISHED_PACKETS_PER_SECOND: Final = 5_000
# Of one publisher, in kbit/s, unless an operator says otherwise. More lets one member take more of everybody's
# downlink and of our time; less cuts who shares a large screen beside a camera.
PUBLISHED_KBPS: Final = 20_000
# Of one peer: a receiver reports each of its up to 64 slots, and asks for what is lost, some ten times per second.
# More costs up to 20 µs each; fewer would leave the losses of a large call unrepaired.
RTCP_PACKETS_PER_SECOND: Final = 1_000
# And in bytes, because one full datagram may ask for six thousand packets, which takes a millisecond to read.
RTCP_BYTES_PER_SECOND: Final = 128_000
# Keyframe requests that one receiver gets through to the merging per source. More would let one receiver hold its
# sources at the merged rate for nothing; fewer would delay somebody who joins a call and needs one of each slot.
KEYFRAME_REQUESTS: Final = Rate(per_second=50, burst=128)
# Times that a track may begin anew (another SSRC, a jump of its numbers, another codec). Each makes all receivers wait
# for a keyframe. A browser does it when a camera is exchanged; more helps only who wants to keep us busy.
RESTARTS: Final = Rate(per_second=2, burst=10)
# Connectivity checks that name one peer, once for the addresses it uses and once for all others together. A browser
# sends up to 50 per second until it is connected, and later one in 5 s. More spends more on verifying forgeries (20 µs
# each); fewer makes a change of address slower during an attack.
CHECKS: Final = Rate(per_second=100, burst=200)
# And all of those of unknown addresses that name somebody who is connected already: whose network changed. More would
# let who knows many names keep us busy with forgeries; fewer makes many moves at the same time slower. Who is not yet
# connected is not held to it, so that nobody can shut newcomers out by it.
STRANGE_CHECKS: Final = Rate(per_second=2_000, burst=200)
# SRTP packets of unknown addresses that are tried against the keys of a peer. More notices a moved client sooner under
# a flood, fewer cost less in it.
STRAYS: Final = Rate(per_second=200, burst=200)
# Probes of relays that we answer, of each of their logins: one check to each of our addresses and four more through
# each relay, all relays at once after a start; with four addresses that are 250 relays. More costs up to 40 µs each;
# fewer would make relays look silent that are not.
PROBES: Final = Rate(per_second=400, burst=2_000)
# And those that we look at, forged or not, at 10 µs each. More lets who has seen the ufrag of a probe take more than a
# tenth of our time; fewer lets them keep probes from being answered by less traffic.
PROBES_VERIFIED: Final = Rate(per_second=10_000, burst=10_000)


class Budget:
    """A token bucket. Times are in seconds."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float = 0.0) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is within the budget; if so it is spent."""
        if not self.is_left(now):
            return False
        self._tokens -= 1.0
        return True

    def is_left(self, now: float) -> bool:
        """Whether one more would be within the budget."""
        rate = self._rate
        self._tokens = min(rate.burst, self._tokens + max(0.0, now - self._at) * rate.per_second)
        self._at = now
        return self._tokens >= 1.0


class Allowance:
    """A budget in packets and in bytes, made for one look per packet: the clock is consulted only when it is used up.

    Before a packet is worked on, take it off by hand, and `refill` decides about one that is too much::

        allowance.packets -= 1
        allowance.bytes -= size
        if (allowance.packets < 0 or allowance.bytes < 0) and not allowance.refill(size, now): drop it

    So the rate passes on average. At once pass at most two seconds' worth: one that was saved, and as the clock is not
    looked at meanwhile, one for the pause before it.
    """

    __slots__ = ("_at", "_bytes_per_second", "_packets_per_second", "bytes", "packets")

    def __init__(self, packets_per_second: float, bytes_per_second: float, now: float = 0.0) -> None:
        self._packets_per_second = self.packets = float(packets_per_second)
        self._bytes_per_second = self.bytes = float(bytes_per_second)
        self._at = now

    def refill(self, size: int, now: float) -> bool:
        """Add what the time since the last call is worth. False, and nothing is spent, if that is not enough."""
        elapsed = max(0.0, now - self._at)
        self._at = now
        self.packets = min(self._packets_per_second, self.packets + elapsed * self._packets_per_second)
        self.bytes = min(self._bytes_per_second, self.bytes + elapsed * self._bytes_per_second)
        if self.packets >= 0 and self.bytes >= 0:
            return True
        self.packets += 1
        self.bytes += size
        return False
