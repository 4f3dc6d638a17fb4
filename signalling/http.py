"""What everybody is served over HTTP: the page, the WebSocket's door, the schema, and tokens in dev mode."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from . import messages as m
from . import metrics, openapi, origins
from .config import Settings
from .keys import TokenError
from .limits import BucketPerAddress, CountPerAddress, Rate
from .responses import NO_HEADERS, BodyError, answer, http_error, json_object, later, problem
from .server import Server
from .tokens import SOURCES, Grant, Tokens

WEB = Path(__file__).resolve().parent.parent / "web"
DEV_TOKEN_LIFETIME = 6 * 3600.0  # seconds

# Only what a page is made of is served, and under the type that browsers insist on for modules.
MIME_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


def build(
    *,
    settings: Settings,
    server: Server,
    tokens: Tokens,
    counts: metrics.Metrics,
    port: int,
    others: Sequence[BaseRoute],
    middleware: Sequence[Middleware],
) -> Starlette:
    """The application that is served on `port`; `others` are endpoints that are here, too."""
    routes: list[BaseRoute] = [
        WebSocketRoute("/ws", _WebSocketDoor(settings, server, counts).open),
        Route("/api/schema", _schema),
        *others,
    ]
    if settings.dev_mode:
        routes.append(Route("/api/dev/token", _DevTokens(tokens, counts, port).issue, methods=["POST"]))
    routes.append(Mount("/", _Page(partial(_sockets, settings, server), directory=WEB, html=True, check_dir=False)))
    return Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: http_error})


# --------------------------------------------------------------------------------------------------- the WebSocket


class _WebSocketDoor:
    """Decides before the upgrade who may open a WebSocket."""

    def __init__(self, settings: Settings, server: Server, counts: metrics.Metrics) -> None:
        self._settings = settings
        self._server = server
        self._counts = counts
        self._strangers = CountPerAddress(settings.max_connections_per_address)  # who joined counts as an identity

    async def open(self, websocket: WebSocket) -> None:
        """Refuse with an HTTP error, or serve until it is closed."""
        origin = websocket.headers.get("origin")
        host = websocket.headers.get("host", "")
        address = websocket.client.host if websocket.client else ""
        others = (*self._settings.allowed_origins, *self._server.origins())
        if not origins.allowed(origin, host, others):
            return await self._refuse(websocket, 403, "origin_refused", "Pages of this origin may not connect.")
        if websocket.scope["query_string"]:
            text = "The URL of the WebSocket has no query: a token goes into the first message, never into a URL."
            return await self._refuse(websocket, 400, "query_refused", text)
        if m.SUBPROTOCOL not in websocket.scope["subprotocols"]:
            return await self._refuse(websocket, 400, "subprotocol_required", f"Ask for {m.SUBPROTOCOL}.")
        wait = self._server.must_wait(address)
        if wait:
            self._counts.limit_refused("failures_per_address")
            text = "Too much was refused from this address."
            return await self._refuse(websocket, 429, "rate_limited", text, later(wait))
        if not self._strangers.enter(address):
            self._counts.limit_refused("connections_per_address")
            text = "Too many connections from this address that have not joined."
            return await self._refuse(websocket, 429, "too_many_connections", text, later(5.0))
        with contextlib.ExitStack() as stranger:
            stranger.callback(self._strangers.leave, address)
            await websocket.accept(subprotocol=m.SUBPROTOCOL)
            url = self._settings.advertise_url or origins.websocket_url(host, origin, websocket.url.scheme)
            await self._server.serve(websocket, address, url, verified=stranger.close)

    async def _refuse(
        self, websocket: WebSocket, status: int, code: str, text: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        self._counts.refused_connections.labels(code).inc()
        await websocket.send_denial_response(problem(status, code, text, headers))


# ------------------------------------------------------------------------------------------------- small endpoints


async def _schema(request: Request) -> Response:
    return JSONResponse(m.schema(), media_type="application/schema+json", headers={"Cache-Control": "no-cache"})


def description(version: str) -> Route:
    """The endpoint that describes all others."""
    text = JSONResponse(openapi.document(version)).body

    async def serve(request: Request) -> Response:
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-cache"})

    return Route("/api/openapi.json", serve)


class _DevTokens:
    """Gives tokens to the page of the same machine. It exists in dev mode only."""

    def __init__(self, tokens: Tokens, counts: metrics.Metrics, port: int) -> None:
        self._tokens = tokens
        self._counts = counts
        self._port = port
        self._rate = BucketPerAddress(Rate(per_second=20.0, burst=100.0))

    async def issue(self, request: Request) -> Response:
        """A token for `{room, identity?, name, admin?, wait?}`: on this machine, who asks to be a moderator is one."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not origins.is_loopback_host(host, self._port):
            return problem(403, "host_refused", "Tokens are given to pages of this machine only.")
        if origin is not None and not origins.same_origin(origin, host):
            return problem(403, "origin_refused", "Tokens are given to this server's own page only.")
        if self._rate.take(request.client.host if request.client else "", time.monotonic()):
            self._counts.limit_refused("dev_tokens_per_address")
            return problem(429, "rate_limited", "Too many tokens.", later(1.0))
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return problem(415, "not_json", "Send application/json.")
        try:
            wish = _wish(await json_object(request))
            token = self._tokens.issue(
                room=wish.room,
                identity=wish.identity,
                name=wish.name,
                wall=time.time(),
                lifetime=DEV_TOKEN_LIFETIME,
                grant=Grant(frozenset(SOURCES), admin=wish.admin),
                wait=wish.wait,
            )
        except BodyError as error:
            return error.response
        except (_BadWish, TokenError) as error:
            return problem(400, "invalid_request", str(error))
        return answer({"token": token, "room": wish.room, "identity": wish.identity, "name": wish.name})


class _BadWish(ValueError):
    """The body does not say for whom a token is wanted."""


class _Wish(NamedTuple):
    room: str
    identity: str
    name: str
    admin: bool
    wait: bool


def _wish(wish: Mapping[str, Any]) -> _Wish:
    room, name = wish.get("room"), wish.get("name")
    identity = wish.get("identity", "guest-" + secrets.token_hex(4))
    if not isinstance(room, str) or not isinstance(name, str) or not isinstance(identity, str):
        raise _BadWish("room, name and identity are texts; room and name are needed.")
    admin, wait = wish.get("admin", False), wish.get("wait", False)
    if not isinstance(admin, bool) or not isinstance(wait, bool):
        raise _BadWish("admin and wait are true or false.")
    return _Wish(room, identity, name, admin, wait)


# -------------------------------------------------------------------------------------------------------- the page


class _Page(StaticFiles):
    """The files of web/, with a policy that lets them load nothing from elsewhere."""

    def __init__(self, sockets: Callable[[], Iterable[str]], **options: Any) -> None:
        """`sockets`: where the page may open WebSockets beside the host that it came from."""
        super().__init__(**options)
        self._sockets = sockets

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        response.headers.update(_page_headers(origins.clean_host(host), self._sockets()))
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """As Starlette's, but blind for everything that is no part of a page (Python files, hidden files)."""
        full, found = super().lookup_path(path)
        parts = PurePosixPath(path)
        hidden = any(part.startswith((".", "__")) for part in parts.parts if part != ".")
        is_file = bool(found) and not os.path.isdir(full)
        if hidden or (is_file and parts.suffix not in MIME_TYPES):
            return "", None
        return full, found

    def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
        """As Starlette's, but with our types: a machine's own list of types may call a module text/plain."""
        response = super().file_response(full_path, *args, **kwargs)
        kind = MIME_TYPES.get(PurePosixPath(full_path).suffix)
        if kind and "content-type" in response.headers:
            response.headers["Content-Type"] = kind
        return response


def _sockets(settings: Settings, server: Server) -> Iterable[str]:
    """Where `welcome`, `redirect` and `migrate` may send a page."""
    known = [urlsplit(url) for url in (settings.advertise_url, settings.migrate_to) if url]
    named = [f"{parts.scheme}://{parts.netloc}" for parts in known]
    if not settings.redis_url:
        return named
    if settings.instance_origins:
        return [*named, *settings.instance_origins]
    # An instance that starts tomorrow may take over the calls of a page that was loaded today.
    return [*named, "wss:"] if server.is_secure else [*named, "ws:", "wss:"]


def _page_headers(host: str, others: Iterable[str]) -> dict[str, str]:
    # 'self' covers WebSockets of the same host in newer browsers only; naming them costs nothing.
    own = [f"ws://{host}", f"wss://{host}"] if host else []
    sockets = "".join(f" {one}" for one in dict.fromkeys([*own, *others]))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob: mediastream:",
        "connect-src": f"'self'{sockets}",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self)",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",  # kept, but asked about every time: after an update nobody runs old modules
    }
