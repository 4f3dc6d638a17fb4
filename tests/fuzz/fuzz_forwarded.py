"""Any X-Forwarded-For that a proxy passes on gives one client that limits can count, and from others it is not read."""

from __future__ import annotations

import contextlib
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from signalling.limits import network_of

PROXY, STRANGER = ("10.0.0.1", 1), ("192.0.2.1", 2)


def run(data: bytes) -> None:
    addresses, _, scheme = data.partition(b"\n")
    # An HTTP parser lets no line end into a header.
    headers = [(b"x-forwarded-for", addresses), (b"x-forwarded-proto", scheme.replace(b"\n", b""))]
    seen = _seen({"type": "websocket", "scheme": "ws", "client": PROXY, "headers": headers})
    host, port = seen["client"]
    assert isinstance(port, int)
    assert isinstance(network_of(host), str)
    assert seen["scheme"] in ("ws", "wss")
    assert seen["client"] == PROXY or host in addresses.decode("latin-1")
    untouched = {"type": "http", "scheme": "http", "client": STRANGER, "headers": headers}
    assert _seen(dict(untouched)) == untouched


def _seen(scope: dict[str, Any]) -> dict[str, Any]:
    """What the application sees of a request, as signalling/listeners.py configures uvicorn."""
    found: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    middleware: Any = ProxyHeadersMiddleware(application, ["10.0.0.0/8"])
    with contextlib.suppress(StopIteration):
        middleware(scope, None, None).send(None)
    return found[0]
