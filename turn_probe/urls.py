"""The URLs of STUN and TURN servers (RFC 7064, RFC 7065): read strictly, so that a wrong one is seen at once."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum

PLAIN_PORT, TLS_PORT = 3478, 5349
_URL = re.compile(r"(?P<scheme>stuns?|turns?):(?P<host>\[[^\]]*\]|[^:?/@#\s]+)(?::(?P<port>\d{1,5}))?(?P<query>\?.*)?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class UrlError(ValueError):
    """It is not the URL of a STUN or TURN server; the message says why."""


class Transport(Enum):
    """How a client speaks to the server; the relay itself is always UDP."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Server:
    """One server over one transport. `url` is the text it was read from."""

    url: str
    relays: bool  # TURN, not STUN alone
    host: str
    port: int
    transport: Transport

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'turn' if self.relays else 'stun'} {host}:{self.port} {self.transport.value}"


def parse(url: str) -> Server:
    """Read a URL. Raises UrlError."""
    found = _URL.fullmatch(url)
    if not found:
        raise UrlError(f"{url!r} is not a URL like turn:example.org:3478?transport=udp")
    scheme, query = found["scheme"], found["query"]
    relays, secure = scheme.startswith("turn"), scheme.endswith("s")
    if query not in (None, "?transport=udp", "?transport=tcp") or (query and not relays):
        raise UrlError(f"{url!r} ends with something else than ?transport=udp or ?transport=tcp")
    if secure and query == "?transport=udp":
        raise UrlError(f"{url!r} asks for TURN over DTLS, which browsers do not speak")
    port = int(found["port"] or (TLS_PORT if secure else PLAIN_PORT))
    if not 0 < port < 65536:
        raise UrlError(f"{url!r} has a port that is none")
    transport = Transport.TLS if secure else Transport.TCP if query == "?transport=tcp" else Transport.UDP
    return Server(url, relays, _host(found["host"], url), port, transport)


def _host(text: str, url: str) -> str:
    try:
        if text.startswith("["):
            return str(ipaddress.IPv6Address(text[1:-1]))
        if re.fullmatch(r"[\d.]+", text):
            return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise UrlError(f"{url!r} has an IP address that is none") from None
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")):
        raise UrlError(f"{url!r} has a host name that is none")
    return text.lower()
