"""Access tokens: JWTs that say who may enter which room and what may be done there.

This is the only file that imports PyJWT. A key is bound to one algorithm, HS256 for a shared secret and EdDSA for an
Ed25519 key, and a token is only ever checked with the algorithm of the key it names: what its header claims about
algorithms decides nothing (RFC 8725 section 3.1). Times are seconds since 1970, given by the caller.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from state.model import Identity, RoomName, Source

SOURCES: tuple[Source, ...] = get_args(Source)
LEEWAY = 5.0  # seconds by which the issuer's clock may differ from ours
MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2: "A key of the same size as the hash output … or larger MUST be used"
MAX_NAME = 128
ADMIN_AUDIENCE = "auralink-admin"

Algorithm = Literal["HS256", "EdDSA"]


class TokenError(Exception):
    """A token was refused; `code` is `token_invalid` or `token_expired`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyConfigError(ValueError):
    """A configured key cannot be used; the message says why without repeating the key."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows."""

    publish: frozenset[Source]
    subscribe: bool = True
    chat: bool = True
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token: who, where, and what is allowed. `expires` and `issued` are in seconds since 1970."""

    room: RoomName
    identity: Identity
    name: str
    grant: Grant
    expires: float
    issued: float | None = None  # None: the token does not say
    wait: bool = False  # only if a moderator lets them in


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may use the admin API: the id of the key that says so, and the name that the token gives."""

    kid: str
    name: str


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key with its id and the one algorithm it serves. `signing` is None where only the public half is known."""

    kid: str
    algorithm: Algorithm
    verifying: bytes | Ed25519PublicKey
    signing: bytes | Ed25519PrivateKey | None

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, algorithm={self.algorithm!r})"  # never the secret


def secret_key(kid: str, secret: bytes) -> Key:
    """An HS256 key. Raises KeyConfigError if the secret is short enough to be guessed."""
    if len(secret) < MIN_SECRET_BYTES:
        raise KeyConfigError(
            f"the secret of key {kid!r} has {len(secret)} bytes, an HS256 secret needs at least {MIN_SECRET_BYTES}"
        )
    return Key(kid, "HS256", secret, secret)


def ed25519_key(kid: str, text: str) -> Key:
    """An EdDSA key from its public 32 bytes in base64url. Raises KeyConfigError."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return Key(kid, "EdDSA", Ed25519PublicKey.from_public_bytes(raw), None)
    except (ValueError, binascii.Error):
        raise KeyConfigError(f"key {kid!r} is not an Ed25519 public key of 32 bytes in base64url") from None


def ed25519_pem(kid: str, pem: bytes) -> Key:
    """An EdDSA key from a PEM file; a private one can also issue tokens. Raises KeyConfigError."""
    try:
        if b"PRIVATE KEY" in pem:
            private = load_pem_private_key(pem, password=None)
            if isinstance(private, Ed25519PrivateKey):
                return Key(kid, "EdDSA", private.public_key(), private)
        else:
            public = load_pem_public_key(pem)
            if isinstance(public, Ed25519PublicKey):
                return Key(kid, "EdDSA", public, None)
    except (ValueError, TypeError):
        pass
    raise KeyConfigError(f"the file of key {kid!r} holds no Ed25519 key in PEM form")


class Keyring:
    """A set of keys; the first one that can sign is the one that signs."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise KeyConfigError("at least one key is needed")
        self._keys = {key.kid: key for key in keys}
        self._signing = next((key for key in keys if key.signing is not None), None)

    def read(self, token: str, wall: float) -> tuple[Key, dict[str, Any]]:
        """The claims of a token and the key that signed it. Raises TokenError, and nothing else, on any input."""
        key = self._key_of(token)
        try:
            payload = jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                # Times are checked below, against the caller's clock.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenError("token_invalid", "The token's signature does not fit, or it is no JWT.") from None
        _check_times(payload, wall)
        return key, payload

    def sign(self, payload: dict[str, Any]) -> str:
        """A token with these claims. Raises KeyConfigError where no key can sign."""
        if self._signing is None:
            raise KeyConfigError("no configured key can sign: an Ed25519 public key only verifies")
        signing = cast(Any, self._signing.signing)
        return jwt.encode(payload, signing, algorithm=self._signing.algorithm, headers={"kid": self._signing.kid})

    def _key_of(self, token: str) -> Key:
        """The key the token names; a token that names none is checked with the only key there is."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenError("token_invalid", "This is not a JWT.") from None
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenError("token_invalid", "The token names no key (`kid`) that this server knows.")
        return key


class Tokens:
    """Verifies and issues access tokens with a set of keys."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = Keyring(keys)

    def verify(self, token: str, wall: float) -> Claims:
        """Check signature, times and shape of a token. Raises TokenError, and nothing else, on any input."""
        _, payload = self._keys.read(token, wall)
        return _claims(payload)

    def issue(
        self,
        *,
        room: str,
        identity: str,
        wall: float,
        lifetime: float,
        name: str | None = None,
        grant: Grant,
        wait: bool = False,
    ) -> str:
        """A signed token that is valid for `lifetime` seconds. Raises TokenError if a claim would be refused."""
        publish: bool | list[str]
        publish = True if grant.publish == frozenset(SOURCES) else sorted(grant.publish)
        payload: dict[str, Any] = {
            "sub": identity,
            "room": room,
            "name": name if name is not None else identity,
            "publish": publish,
            "subscribe": grant.subscribe,
            "chat": grant.chat,
            "admin": grant.admin,
            "wait": wait,
            "iat": int(wall),
            "exp": int(wall + lifetime),
        }
        _claims(payload)
        return self._keys.sign(payload)


class AdminTokens:
    """Verifies and issues the tokens of operators, whose keys are apart from those of members."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = Keyring(keys)

    def verify(self, token: str, wall: float) -> Operator:
        """Who may use the admin API. Raises TokenError, and nothing else, on any input."""
        key, payload = self._keys.read(token, wall)
        audience = payload.get("aud")
        if audience != ADMIN_AUDIENCE and not (isinstance(audience, list) and ADMIN_AUDIENCE in audience):
            raise TokenError("token_invalid", f"The token's `aud` is not {ADMIN_AUDIENCE}.")
        if payload.get("admin_api") is not True:
            raise TokenError("token_invalid", "The token's `admin_api` is not true.")
        return Operator(key.kid, "" if payload.get("sub") in (None, "") else _name(payload, "sub"))

    def issue(self, *, wall: float, lifetime: float, name: str = "") -> str:
        """A signed token that is valid for `lifetime` seconds."""
        payload: dict[str, Any] = {
            "aud": ADMIN_AUDIENCE,
            "admin_api": True,
            "iat": int(wall),
            "exp": int(wall + lifetime),
        }
        if name:
            payload["sub"] = name
            _name(payload, "sub")
        return self._keys.sign(payload)


def _check_times(payload: Mapping[str, Any], wall: float) -> None:
    """RFC 7519 section 4.1.4: `exp` is the time "on or after which the JWT MUST NOT be accepted"; we require it."""
    expires = _seconds(payload, "exp")
    if expires is None:
        raise TokenError("token_invalid", "The token has no expiry (`exp`).")
    if wall >= expires + LEEWAY:
        raise TokenError("token_expired", "The token has expired.")
    for claim in ("nbf", "iat"):
        moment = _seconds(payload, claim)
        if moment is not None and wall < moment - LEEWAY:
            raise TokenError("token_invalid", f"The token is not valid yet (`{claim}`).")


def _seconds(payload: Mapping[str, Any], claim: str) -> float | None:
    value = payload.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise TokenError("token_invalid", f"The token's `{claim}` is not a time in seconds.")
    return float(value)


def _claims(payload: Mapping[str, Any]) -> Claims:
    room = _name(payload, "room")
    if "{" in room or "}" in room:
        raise TokenError("token_invalid", "The token's `room` must not contain braces.")
    identity = _name(payload, "sub")
    name = _name(payload, "name") if payload.get("name") not in (None, "") else identity
    grant = Grant(
        publish=_sources(payload.get("publish", True)),
        subscribe=_flag(payload, "subscribe", True),
        chat=_flag(payload, "chat", True),
        admin=_flag(payload, "admin", False),
    )
    wait = _flag(payload, "wait", False)
    return Claims(
        RoomName(room), Identity(identity), name, grant, float(payload["exp"]), _seconds(payload, "iat"), wait
    )


def _name(payload: Mapping[str, Any], claim: str) -> str:
    value = payload.get(claim)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or not value.isprintable():
        raise TokenError("token_invalid", f"The token's `{claim}` must be 1 to {MAX_NAME} printable characters.")
    return value


def _flag(payload: Mapping[str, Any], claim: str, default: bool) -> bool:
    value = payload.get(claim, default)
    if not isinstance(value, bool):
        raise TokenError("token_invalid", f"The token's `{claim}` must be true or false.")
    return value


def _sources(value: object) -> frozenset[Source]:
    if value is True:
        return frozenset(SOURCES)
    if value is False:
        return frozenset()
    if isinstance(value, list) and all(source in SOURCES for source in value):
        return frozenset(value)
    raise TokenError("token_invalid", "The token's `publish` must be true, false or a list of sources.")
