"""Reads offers without delaying media: a long one in slices, between which the packets that came have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .sdp import LONG_CHARACTERS, MAX_CHARACTERS, Offer, offer_in_steps, parse_offer

# Longer slices read an offer sooner, shorter ones hold up media less. (A thread would hold it up more: it takes the
# interpreter's lock at each system call of the forwarder, and keeps it for 5 ms.)
SLICE: Final = 0.002  # seconds


class OfferReader:
    """One long offer after the other, so that between two batches of packets there is one slice and not a hundred."""

    def __init__(self, max_sections: int, clock: Callable[[], float]) -> None:
        self._max_sections, self._clock = max_sections, clock
        self._turn = asyncio.Lock()

    async def read(self, sdp: str) -> Offer:
        """The offer. Raises SdpError; what is too long is refused without looking at it."""
        if not LONG_CHARACTERS < len(sdp) <= MAX_CHARACTERS:
            return parse_offer(sdp, max_sections=self._max_sections)
        async with self._turn:
            steps = offer_in_steps(sdp, max_sections=self._max_sections)
            began = self._clock()
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    offer: Offer = end.value
                    return offer
                if self._clock() - began > SLICE:
                    await asyncio.sleep(0)
                    began = self._clock()
