"""Where media is announced with `--media-ip auto`: as a STUN server sees this machine, asked again and again.

A server that starts while no STUN server answers serves all the same: who is in its network, or comes by a relay,
reaches its own addresses. An address that was found may be replaced, as providers do at night: who connects, or
restarts ICE because nothing arrives any more, is told of the new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from turn_probe.exchange import Timing
from turn_probe.mapped import Mapped, NotSeen, mapped_address
from turn_probe.one_shot import OneShot
from turn_probe.urls import Server

from .health import Check, observed

log = logging.getLogger(__name__)

ASK_EVERY = 5.0  # seconds between an answer that did not come, or is new, and the next question
# How often in a row another address has to be said to be believed: by the server that told the one before, and by
# another, which may see us by another way. At ASK_EVERY the latter takes a minute.
AGREEING, AGREEING_OTHERS = 2, 12
LOOK_EVERY = 30.0  # seconds between an answer that is as before and the next question

Ask = Callable[[Sequence[Server]], Awaitable[Mapped]]


async def _ask_now(servers: Sequence[Server]) -> Mapped:
    return await mapped_address(servers, OneShot(timing=Timing()))


class PublicAddress:
    """What the STUN servers say; `ask` raises NotSeen or OSError if none says anything."""

    def __init__(
        self,
        servers: Sequence[Server],
        ask: Ask = _ask_now,
        every: float = ASK_EVERY,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self.seen: Mapped | None = None
        self._servers, self._ask, self._every, self._look_every = servers, ask, every, look_every
        self._doubted: list[Mapped] = []  # the same answer, and another than before, as often as it was said
        self._reason = "nobody was asked yet"

    async def find(self) -> Mapped | None:
        """Ask once, which takes 5 s at most."""
        try:
            answer = await self._ask(self._servers)
        except (NotSeen, OSError) as error:
            self._doubted = []
            if self._reason != str(error):
                self._reason = str(error)
                if self.seen is None:
                    log.warning(
                        "Media is announced at our own addresses, as no STUN server says how it sees us: %s", error
                    )
                else:
                    log.warning("Media stays announced at %s; no STUN server confirms it: %s", self.seen.public, error)
            return self.seen
        self._reason = ""
        if self._is_believed(answer):
            if self.seen != answer:
                log.info("Media is announced at %s for %s", answer.public, answer.local)
            self.seen, self._doubted = answer, []
        return self.seen

    def _is_believed(self, answer: Mapped) -> bool:
        if self.seen is None or self.seen == answer:
            return True
        self._doubted = [*self._doubted, answer] if self._doubted[-1:] == [answer] else [answer]
        return len(self._doubted) >= (AGREEING if answer.by == self.seen.by else AGREEING_OTHERS)

    async def keep_asking(self, learned: Callable[[Mapped], None]) -> None:
        """Ask until it is known, and then whether it is still so; `learned` gets each address that is new."""
        while True:
            before = self.seen
            settled = before is not None and not self._doubted
            await asyncio.sleep(self._look_every if settled else self._every)
            try:
                if (seen := await self.find()) is not None and seen != before:
                    learned(seen)
            except Exception:  # a fault of ours must not end everybody's calls
                log.exception("Asking how others see this machine failed")

    def checks(self) -> dict[str, list[Check]]:
        """What detailed health says of it."""
        if self.seen is not None:
            return {"media:publicAddress": [observed("component", self.seen.public, "address")]}
        return {"media:publicAddress": [observed("component", "unknown", "address", "warn") | {"reason": self._reason}]}
