"""TURN credentials: short-lived ones by the REST scheme that coturn and others understand, or fixed ones.

With the scheme the server shares a secret with the TURN servers and no state: the username says until when it is valid,
the password proves that somebody with the secret said so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a TURN client logs in with."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A secret of ours and the TURN servers', by which there is a login for everybody."""

    text: str = field(repr=False)

    def login(self, user: str, wall: float, lifetime: float) -> Credentials:
        """As `issue`."""
        return issue(self.text, user, wall, lifetime)


@dataclass(frozen=True, slots=True)
class FixedUser:
    """One login for everybody, for ever."""

    name: str
    text: str = field(repr=False)

    def login(self, user: str, wall: float, lifetime: float) -> Credentials:
        """The one there is."""
        return Credentials(self.name, self.text)


Account = SharedSecret | FixedUser  # `text` is what only those know who may use the account


def accounts(secrets: Sequence[str], user: FixedUser | None = None) -> list[Account]:
    """All accounts in the order in which they are tried: the secrets, newest first, then the fixed user."""
    return [*(SharedSecret(secret) for secret in secrets), *([user] if user else [])]


def fixed_user(text: str) -> FixedUser:
    """Read NAME:PASSWORD; the name has no colon. Raises ValueError, which does not tell the password."""
    name, _, password = text.partition(":")
    if not name or not password:
        raise ValueError("it is not of the form NAME:PASSWORD")
    return FixedUser(name, password)


def issue(secret: str, user: str, wall: float, lifetime: float) -> Credentials:
    """Credentials for `user` that are valid for `lifetime` seconds after `wall` (seconds since 1970)."""
    username = f"{int(wall + lifetime)}:{user}"
    return Credentials(username, password_of(secret, username))


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
    """Known to whoever knows the TURN secret, or the password of a fixed user, and so to `auralink probe`. The ufrag is
    no secret, but nobody can guess it, so that nobody else can use up what the media port answers in a second."""
    digest = hmac.new(secret.encode(), b"auralink probe", hashlib.sha256).hexdigest()
    return EchoLogin(digest[:16], digest[16:48])
