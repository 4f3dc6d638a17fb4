"""Access tokens for synthetic participants: signed here with a shared secret, or asked of a server in dev mode."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

TokenSource = Callable[[str, str], str]
"""(room, identity) -> token."""

_LIFETIME = 6 * 3600  # seconds
_LONGEST_WAIT = 10.0  # seconds between two questions


class TokenRefused(Exception):
    """No token: the key is malformed, or the server gives none."""


def from_keys(keys: str) -> TokenSource:
    """Sign with the first HS256 key of `kid:secret,…`, as the server's --keys takes it. Raises TokenRefused."""
    kid, colon, secret = keys.split(",")[0].strip().partition(":")
    if not colon or not kid or not secret or secret.startswith(("ed25519:", "@")):
        raise TokenRefused("--keys needs kid:secret; other kinds of keys sign with `auralink token`")
    return lambda room, identity: sign(kid, secret, room, identity, time.time())


def sign(kid: str, secret: str, room: str, identity: str, wall: float) -> str:
    """A JWT of docs/protocol.md by HS256 (RFC 7515 section 3.1), valid for six hours from `wall`."""
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    claims = {"sub": identity, "room": room, "name": identity, "iat": int(wall), "exp": int(wall) + _LIFETIME}
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    return f"{signed}.{_part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_endpoint(url: str) -> TokenSource:
    """Ask `url`, the /api/dev/token of a server in dev mode. The calls block, and raise TokenRefused."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(room: str, identity: str) -> str:
        body = json.dumps({"room": room, "identity": identity, "name": identity}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - own server
        for _ in range(20):
            try:
                with opener.open(request, timeout=10) as answer:
                    return str(json.load(answer)["token"])
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 429:  # many participants at once meet the endpoint's rate limit
                    raise TokenRefused(f"{url} answered {error.code}") from None
                time.sleep(_wait(error.headers.get("Retry-After", "")))
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                raise TokenRefused(f"{url}: {error}") from None
        raise TokenRefused(f"{url} refuses more tokens")

    return ask


def _wait(retry_after: str) -> float:
    """Seconds to wait: what the header says, within reason; one if it says a date or nothing (RFC 9110 10.2.3)."""
    return min(float(retry_after), _LONGEST_WAIT) if retry_after.isascii() and retry_after.isdigit() else 1.0


def endpoint_of(websocket_url: str) -> str:
    """Where the server behind a WebSocket URL gives tokens in dev mode."""
    parts = urlsplit(websocket_url)
    return urlunsplit((parts.scheme.replace("ws", "http", 1), parts.netloc, "/api/dev/token", "", ""))
