"""Whether this instance lives and whether it should be sent people, as load balancers and supervisors ask for it.

Only what is this instance's own makes it unready. Something that all instances share, such as Redis, does not: it would
make all of them unready at once, and nobody could call anybody although all of them serve.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sfu.media_plane import MediaError, MediaPlane

from . import dependencies, health
from .conference import Conference
from .loop_lag import LoopLag
from .responses import answer, later
from .server import Server

STATS_TIMEOUT = 2.0  # seconds for the media plane to answer
KEPT = 1.0  # seconds for which its answer is used again: everybody may ask
LATE_FOR = 10.0  # seconds for which the event loop must have been late without a break
RETRY_AFTER = 5.0  # seconds


class Readiness:
    """The endpoints /health/live and /health/ready. They are for everybody, and tell nothing but that."""

    def __init__(self, server: Server, conference: Conference, media: MediaPlane, lag: LoopLag) -> None:
        self._server = server
        self._conference = conference
        self._media = media
        self._lag = lag
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._answers = True

    def routes(self) -> list[BaseRoute]:
        """Their places."""
        return [Route("/health/live", self._live), Route("/health/ready", self._ready)]

    async def _live(self, request: Request) -> Response:
        return answer({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        found = health.ready(await self._causes(), dependencies.notes(self._conference))
        if found["status"] == "fail":
            return answer(found, health.MEDIA_TYPE, 503, later(RETRY_AFTER))
        return answer(found, health.MEDIA_TYPE)

    async def _causes(self) -> list[str]:
        """Why nobody should be sent here."""
        causes = {
            "it is starting": self._server.is_starting,
            "it is about to end": self._server.is_ending,
            f"the event loop has been late for {LATE_FOR:.0f} s": self._lag.late_for >= LATE_FOR,
            "the media plane does not answer": not await self._media_answers(),
        }
        return [cause for cause, is_so in causes.items() if is_so]

    async def _media_answers(self) -> bool:
        async with self._asking:
            if time.monotonic() - self._asked >= KEPT:
                try:
                    async with asyncio.timeout(STATS_TIMEOUT):
                        await self._media.stats()
                    self._answers = True
                except (TimeoutError, MediaError):
                    self._answers = False
                self._asked = time.monotonic()
        return self._answers
