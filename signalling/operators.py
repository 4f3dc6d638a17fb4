"""What operators are served, metrics and detailed health and the admin API, and how one shows to be an operator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sfu.media_plane import MediaPlane, MediaStats

from . import dependencies, health, metrics, origins
from .conference import Conference
from .events import Instant
from .limits import BucketPerAddress, BucketPerKey, Rate
from .loop_lag import LoopLag
from .responses import answer, http_error, later, problem
from .tokens import AdminTokens, TokenError

STATS_TIMEOUT = 2.0  # seconds
REQUESTS = Rate(per_second=20.0, burst=100.0)  # of one key
FAILURES = Rate(per_second=1.0, burst=20.0)  # of one address

Endpoint = Callable[[Request], Awaitable[Response]]


class NotAdmitted(Exception):
    """This request does not come from an operator; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__("not admitted")
        self.response = response


class Door(Protocol):
    """Decides who is an operator."""

    def admit(self, request: Request) -> str:
        """Who asks, in a word for the log. Raises NotAdmitted."""


class OpenDoor:
    """Everybody who reaches it is let in: for reading, where only those reach it who may."""

    def admit(self, request: Request) -> str:
        """Anybody."""
        return "anybody"


class LocalDoor:
    """On loopback: programs of this machine are let in, and pages of other origins in its browsers are not."""

    def __init__(self, counts: metrics.Metrics) -> None:
        self._requests = _PerAsker(counts)

    def admit(self, request: Request) -> str:
        """Whoever is on this machine."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not origins.is_loopback_name(host):
            raise NotAdmitted(problem(403, "host_refused", "This is served to this machine only, as localhost."))
        if origin is not None and not origins.same_origin(origin, host):
            raise NotAdmitted(problem(403, "origin_refused", "This is not for pages of other origins."))
        self._requests.take("local")
        return "local"


class TokenDoor:
    """Who shows an admin token is let in."""

    def __init__(self, tokens: AdminTokens | None, counts: metrics.Metrics) -> None:
        self._tokens = tokens
        self._counts = counts
        self._failures = BucketPerAddress(FAILURES)
        self._requests = _PerAsker(counts)

    def admit(self, request: Request) -> str:
        """The holder of the token: the id of its key, and its name."""
        if self._tokens is None:
            text = "Nobody is let in here until the server is started with --admin-keys."
            raise NotAdmitted(problem(403, "admin_keys_missing", text))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise TokenError("token_missing", "Send an admin token as Authorization: Bearer …")
            operator = self._tokens.verify(token.strip(), time.time())
        except TokenError as error:
            raise NotAdmitted(self._refused(request, error)) from None
        asker = f"{operator.kid}/{operator.name}" if operator.name else operator.kid
        self._requests.take(asker)
        return asker

    def _refused(self, request: Request, error: TokenError) -> Response:
        wait = self._failures.take(request.client.host if request.client else "", time.monotonic())
        if wait:
            self._counts.limit_refused("admin_failures_per_address")
            return _too_many(wait)
        # RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field".
        return problem(401, error.code, str(error), {"WWW-Authenticate": "Bearer"})


class _PerAsker:
    def __init__(self, counts: metrics.Metrics) -> None:
        self._counts = counts
        self._buckets = BucketPerKey(REQUESTS)

    def take(self, asker: str) -> None:
        wait = self._buckets.take(asker, time.monotonic())
        if wait:
            self._counts.limit_refused("admin_requests_per_key")
            raise NotAdmitted(_too_many(wait))


def _too_many(wait: float) -> Response:
    return problem(429, "rate_limited", "Too many requests.", later(wait))


def guarded(door: Door, endpoint: Endpoint) -> Endpoint:
    """An endpoint for those whom `door` lets in."""

    async def enter(request: Request) -> Response:
        try:
            request.state.asker = door.admit(request)
        except NotAdmitted as refused:
            return refused.response
        return await endpoint(request)

    return enter


# ------------------------------------------------------------------------------------------------------- endpoints


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

    def routes(self, reading: Door) -> list[BaseRoute]:
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


def application(routes: Sequence[BaseRoute], middleware: Sequence[Middleware]) -> Starlette:
    """What is served on a listener for operators alone."""
    return Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: http_error})
