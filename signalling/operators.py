"""What operators are served to read: metrics, and health in detail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sfu.media_plane import MediaPlane, MediaStats

from . import dependencies, health, metrics
from .conference import Conference
from .events import Instant
from .gates import Gate, guarded
from .loop_lag import LoopLag
from .responses import answer

STATS_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Operators:
    """The endpoints for operators."""

    media: MediaPlane
    counts: metrics.Metrics
    lag: LoopLag
    conference: Conference
    version: str
    started: float  # in seconds, monotonic
    more_checks: Callable[[], dict[str, list[health.Check]]] = dict

    def routes(self, reading: Gate) -> list[BaseRoute]:
        """Their places, for those whom `reading` lets in."""
        return [
            Route("/metrics", guarded(reading, self._metrics)),
            Route("/health/detailed", guarded(reading, self._health)),
        ]

    async def _metrics(self, request: Request) -> Response:
        stats = await self._stats() or MediaStats({}, {})  # better half of the metrics than none
        headers = {"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}
        return Response(self.counts.text(stats), headers=headers)

    async def _health(self, request: Request) -> Response:
        stats = await self._stats()
        found = health.detailed(
            version=self.version,
            uptime=time.monotonic() - self.started,
            lag=self.lag.worst,
            counts=self.counts.sizes()._asdict(),
            media=stats.gauges if stats else None,
            dependencies=dependencies.checks(self.conference, Instant(time.monotonic(), time.time()))
            | self.more_checks(),
            degraded=dependencies.degraded(self.conference),
        )
        return answer(found, health.MEDIA_TYPE, 503 if found["status"] == "fail" else 200)

    async def _stats(self) -> MediaStats | None:
        try:
            async with asyncio.timeout(STATS_TIMEOUT):
                return await self.media.stats()
        except TimeoutError:
            return None
