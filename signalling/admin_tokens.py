"""Admin tokens: who may use the admin API, as the claims of a JWT that is signed by a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .keys import Key, Keyring, TokenError, name_in

ADMIN_AUDIENCE = "auralink-admin"


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may use the admin API: the id of the key that says so, and the name that the token gives."""

    kid: str
    name: str


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
        return Operator(key.kid, "" if payload.get("sub") in (None, "") else name_in(payload, "sub"))

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
            name_in(payload, "sub")
        return self._keys.sign(payload)
