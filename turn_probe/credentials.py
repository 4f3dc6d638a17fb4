"""Short-lived TURN credentials by the REST scheme that coturn and others understand.

The server shares a secret with the TURN servers and no state: the username says until when it is valid, the password
proves that somebody with the secret said so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a TURN client logs in with; `expires` is in seconds since 1970."""

    username: str
    password: str = field(repr=False)
    expires: int


def issue(secret: str, user: str, wall: float, lifetime: float) -> Credentials:
    """Credentials for `user` that are valid for `lifetime` seconds after `wall` (seconds since 1970)."""
    expires = int(wall + lifetime)
    username = f"{expires}:{user}"
    return Credentials(username, password_of(secret, username), expires)


def password_of(secret: str, username: str) -> str:
    """The password a TURN server with `secret` expects from `username`. The scheme is fixed to HMAC-SHA1."""
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def accepts(secrets: Sequence[str], username: str, password: str, wall: float) -> bool:
    """What a TURN server with these secrets says; while they are rotated it knows more than one."""
    expiry = username.partition(":")[0]
    if not (expiry.isascii() and expiry.isdigit()) or int(expiry) < wall:
        return False
    given = password.encode("utf-8", "surrogatepass")
    return any(hmac.compare_digest(password_of(secret, username).encode(), given) for secret in secrets)


@dataclass(frozen=True, slots=True)
class EchoLogin:
    """With what a check is signed that our media port answers although nobody is in a call by that name."""

    ufrag: str
    password: str = field(repr=False)


def echo_login(secret: str) -> EchoLogin:
    """Known to whoever knows the TURN secret: every instance, and `auralink probe`. The ufrag is no secret, but nobody
    can guess it, so that nobody can use up what the media port answers in a second."""
    digest = hmac.new(secret.encode(), b"auralink probe", hashlib.sha256).hexdigest()
    return EchoLogin(digest[:16], digest[16:48])
