"""Answers to probes: checks of nobody's call, signed by who knows how, that show that a relay reaches the media port.

They get the answer that a peer's check gets and nothing more: no peer, no route, no state. A datagram that comes back
is shorter than the one it answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import stun
from .budgets import PROBES, PROBES_VERIFIED, Budget

MAX_BYTES = 256  # of a check; ours have about a hundred, and what is longer takes longer to verify


class ProbeAnswers:
    """`logins` are the passwords by ufrag; nobody can guess either, but who sees a check knows its ufrag."""

    def __init__(self, logins: Mapping[str, str]) -> None:
        self._logins = dict(logins)
        # Of several logins some are known to more people than others are, so that each has budgets of its own: one for
        # what is verified, so large that forgers cannot easily use it up, and one for what is answered.
        self._verified = {ufrag: Budget(PROBES_VERIFIED) for ufrag in logins}
        self._answered = {ufrag: Budget(PROBES) for ufrag in logins}

    def knows(self, ufrag: str) -> bool:
        """Whether it is the ufrag of a probe."""
        return ufrag in self._logins

    def answer(self, datagram: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """The answer to a check for one of the ufrags; None for a forged one, and above what probes may cost.

        Raises StunError.
        """
        ufrag = stun.username_of(datagram)
        if len(datagram) > MAX_BYTES or ufrag not in self._logins or not self._verified[ufrag].take(now):
            return None
        check = stun.parse(datagram)
        password = self._logins[ufrag]
        if not check.is_request or not password or not check.is_authentic(password):
            return None
        return stun.success_response(check, source, password) if self._answered[ufrag].take(now) else None
