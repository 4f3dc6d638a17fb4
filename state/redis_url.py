"""Where Redis is: the address that an operator gives, read and checked.

    redis://user:password@host:6379/0                       one server; rediss:// with TLS
    redis+sentinel://host:26379,host:26379/service?db=0     the master that sentinels name
    redis+cluster://host:6379,host:6379                     a cluster, which names its other nodes itself

User and password are those of the Redis servers. What an address holds is never repeated in a message, since a password
with a `/` or `@` that was not percent-encoded may stand anywhere in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

Kind = Literal["single", "sentinel", "cluster"]
Host = tuple[str, int]

KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
DEFAULT_PORT = {"single": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, the sentinels of a `service`, or some nodes of a cluster. `tls`: to the servers, not to sentinels."""

    kind: Kind
    hosts: tuple[Host, ...]
    tls: bool = False
    service: str = ""
    db: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse(url: str) -> RedisAddress:
    """Read an address. Raises ValueError with a sentence that repeats nothing of it."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in KINDS:
        raise ValueError(f"A Redis address begins with one of {', '.join(f'{name}://' for name in KINDS)}.")
    kind, tls = KINDS[scheme]
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, at, listed = authority.rpartition("@")
    user, password = _credentials(credentials) if at else (None, None)
    hosts = tuple(_host(text, DEFAULT_PORT[kind]) for text in listed.split(","))
    if kind == "single" and len(hosts) > 1:
        raise ValueError("A Redis address with several hosts begins with redis+sentinel:// or redis+cluster://.")
    db = _db(query.removeprefix("db=")) if query.startswith("db=") else 0
    if query and not query.startswith("db="):
        raise ValueError("Only ?db=<number> may follow a Redis address.")
    service = ""
    if kind == "sentinel":
        service = unquote(path)
        if not service:
            raise ValueError("A Redis address with sentinels names the service: redis+sentinel://host,host/service.")
    elif path:
        db = _db(path)
    if kind == "cluster" and db:
        raise ValueError("A Redis Cluster has only database 0.")
    return RedisAddress(kind, hosts, tls, service, db, user, password)


def _credentials(text: str) -> tuple[str | None, str]:
    user, colon, password = text.partition(":")
    if not colon or not password:
        raise ValueError("What stands before the @ of a Redis address is user:password, or :password without a user.")
    return unquote(user) or None, unquote(password)


def _host(text: str, default_port: int) -> Host:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):  # no port; an IPv6 address stands in brackets
        host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise ValueError("A Redis address names a host.")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(
            "The port in a Redis address is a number from 1 to 65535. A / or @ in a password is written %2F or %40."
        )
    return host, int(port)


def _db(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("The database in a Redis address is a number.")
    return int(text)
