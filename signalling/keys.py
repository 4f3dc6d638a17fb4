"""Keys, and what any token must be to count: signed by the key that it names, and valid now.

This is the only file that imports PyJWT. A key is bound to one algorithm, HS256 for a shared secret and EdDSA for an
Ed25519 key, and a token is only ever checked with the algorithm of the key it names: what its header claims about
algorithms decides nothing (RFC 8725 section 3.1). Times are seconds since 1970, given by the caller.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

LEEWAY = 5.0  # seconds by which the issuer's clock may differ from ours
MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2: "A key of the same size as the hash output … or larger MUST be used"
MAX_NAME = 128

Algorithm = Literal["HS256", "EdDSA"]


class TokenError(Exception):
    """A token was refused; `code` is `token_invalid` or `token_expired`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyConfigError(ValueError):
    """A configured key cannot be used; the message says why without repeating the key."""


# ------------------------------------------------------------------------------------------------------------- keys


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


# ----------------------------------------------------------------------------------------------------------- claims


def _check_times(payload: Mapping[str, Any], wall: float) -> None:
    """RFC 7519 section 4.1.4: `exp` is the time "on or after which the JWT MUST NOT be accepted"; we require it."""
    expires = seconds_in(payload, "exp")
    if expires is None:
        raise TokenError("token_invalid", "The token has no expiry (`exp`).")
    if wall >= expires + LEEWAY:
        raise TokenError("token_expired", "The token has expired.")
    for claim in ("nbf", "iat"):
        moment = seconds_in(payload, claim)
        if moment is not None and wall < moment - LEEWAY:
            raise TokenError("token_invalid", f"The token is not valid yet (`{claim}`).")


def seconds_in(payload: Mapping[str, Any], claim: str) -> float | None:
    """A time in seconds since 1970 that a token gives, if it does. Raises TokenError."""
    value = payload.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise TokenError("token_invalid", f"The token's `{claim}` is not a time in seconds.")
    return float(value)


def name_in(payload: Mapping[str, Any], claim: str) -> str:
    """A name that a token gives. Raises TokenError unless it is printable and neither empty nor long."""
    value = payload.get(claim)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or not value.isprintable():
        raise TokenError("token_invalid", f"The token's `{claim}` must be 1 to {MAX_NAME} printable characters.")
    return value
