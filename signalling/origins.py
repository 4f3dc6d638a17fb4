"""Which pages may talk to this server: the Origin of a request against its Host (RFC 6454)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_.-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORT = {"http": 80, "https": 443}


def clean_host(host: str) -> str:
    """A Host header in lower case if it is one, else ""; what is returned is safe to repeat in a header."""
    host = host.lower()
    return host if _HOST.fullmatch(host) else ""


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` was served by the server that the client calls `host`."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORT.get(parts.scheme)
    if default is None or not parts.hostname or not clean_host(host):
        return False
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    ours, ours_port = _split(clean_host(host))
    return name == ours and (port or default) == (ours_port or default)


def allowed(origin: str | None, host: str, others: Collection[str]) -> bool:
    """Whether a WebSocket may be opened. A client without an Origin is no browser: no page misuses its user."""
    return origin is None or same_origin(origin, host) or origin.lower() in others or "*" in others


def page_origin(url: str) -> str:
    """The origin of pages that are served where a WebSocket has this URL, as browsers tell it; empty if none is."""
    try:
        parts = urlsplit(url.lower())
        port = parts.port
    except ValueError:
        return ""
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if scheme is None or not clean_host(name):
        return ""
    return f"{scheme}://{name}" + ("" if port is None or port == _DEFAULT_PORT[scheme] else f":{port}")


def is_loopback_host(host: str, port: int) -> bool:
    """Whether `host` names this machine and this port: a page that had its name rebound to us does not."""
    name, given = _split(clean_host(host))
    return name in _LOOPBACK and (port in _DEFAULT_PORT.values() if given is None else given == port)


def is_loopback_name(host: str) -> bool:
    """Whether `host` names this machine, whatever the port: a page that had its name rebound to us does not."""
    name, _ = _split(clean_host(host))
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def websocket_url(host: str, origin: str | None, scheme: str) -> str:
    """The URL by which a client reached us; behind a proxy with TLS the page's Origin knows of it."""
    secure = scheme in ("wss", "https") or (
        origin is not None and origin.lower().startswith("https:") and same_origin(origin, host)
    )
    return f"{'wss' if secure else 'ws'}://{clean_host(host) or 'localhost'}/ws"


def _split(host: str) -> tuple[str, int | None]:
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return name, int(port)
    return host, None
