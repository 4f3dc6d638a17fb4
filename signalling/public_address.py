"""Where media is announced with `--media-ip auto`: as a STUN server sees this machine, asked again until one answers.

A server that starts while no STUN server answers serves all the same: who is in its network, or comes by a relay,
reaches its own addresses.
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

ASK_EVERY = 5.0  # seconds between an answer that did not come and the next question

Ask = Callable[[Sequence[Server]], Awaitable[Mapped]]


async def _ask_now(servers: Sequence[Server]) -> Mapped:
    return await mapped_address(servers, OneShot(timing=Timing()))


class PublicAddress:
    """What the STUN servers say; `ask` raises NotSeen or OSError if none says anything."""

    def __init__(self, servers: Sequence[Server], ask: Ask = _ask_now, every: float = ASK_EVERY) -> None:
        self.seen: Mapped | None = None
        self._servers, self._ask, self._every = servers, ask, every
        self._reason = "nobody was asked yet"

    async def find(self) -> Mapped | None:
        """Ask once, which takes 5 s at most."""
        try:
            self.seen = await self._ask(self._servers)
        except (NotSeen, OSError) as error:
            if self._reason != str(error):
                self._reason = str(error)
                log.warning("Media is announced at our own addresses, as no STUN server says how it sees us: %s", error)
        else:
            log.info("Media is announced at %s for %s", self.seen.public, self.seen.local)
        return self.seen

    async def keep_asking(self, learned: Callable[[Mapped], None]) -> None:
        """If it is not known yet, ask until it is."""
        while self.seen is None:
            await asyncio.sleep(self._every)
            try:
                if seen := await self.find():
                    learned(seen)
            except Exception:  # a fault of ours must not end everybody's calls
                log.exception("Asking how others see this machine failed")

    def checks(self) -> dict[str, list[Check]]:
        """What detailed health says of it."""
        if self.seen is not None:
            return {"media:publicAddress": [observed("component", self.seen.public, "address")]}
        return {"media:publicAddress": [observed("component", "unknown", "address", "warn") | {"reason": self._reason}]}
