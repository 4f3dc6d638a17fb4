"""Gates: how one who asks over HTTP shows to be an operator, at each place where operators are served."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from . import metrics, origins
from .admin_tokens import AdminTokens
from .keys import TokenError
from .limits import BucketPerAddress, BucketPerKey, Rate
from .responses import later, problem

REQUESTS = Rate(per_second=20.0, burst=100.0)  # of one key
FAILURES = Rate(per_second=1.0, burst=20.0)  # of one address

Endpoint = Callable[[Request], Awaitable[Response]]


class NotAdmitted(Exception):
    """This request does not come from an operator; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__("not admitted")
        self.response = response


class Gate(Protocol):
    """Decides who is an operator."""

    def admit(self, request: Request) -> str:
        """Who asks, in a word for the log. Raises NotAdmitted."""


class OpenGate:
    """Everybody who reaches it is let in: for reading, where only those reach it who may."""

    def admit(self, request: Request) -> str:
        """Anybody."""
        return "anybody"


class LocalGate:
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


class TokenGate:
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


def guarded(gate: Gate, endpoint: Endpoint) -> Endpoint:
    """An endpoint for those whom `gate` lets in."""

    async def enter(request: Request) -> Response:
        try:
            request.state.asker = gate.admit(request)
        except NotAdmitted as refused:
            return refused.response
        return await endpoint(request)

    return enter
