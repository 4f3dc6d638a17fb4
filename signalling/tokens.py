"""Access tokens: who may enter which room, and what may be done there, as the claims of a JWT.

Times are seconds since 1970, given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from state.model import Identity, RoomName, Source

from .keys import Key, Keyring, TokenError, name_in, seconds_in

SOURCES: tuple[Source, ...] = get_args(Source)


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


def _claims(payload: Mapping[str, Any]) -> Claims:
    room = name_in(payload, "room")
    if "{" in room or "}" in room:
        raise TokenError("token_invalid", "The token's `room` must not contain braces.")
    identity = name_in(payload, "sub")
    name = name_in(payload, "name") if payload.get("name") not in (None, "") else identity
    grant = Grant(
        publish=_sources(payload.get("publish", True)),
        subscribe=_flag(payload, "subscribe", True),
        chat=_flag(payload, "chat", True),
        admin=_flag(payload, "admin", False),
    )
    wait = _flag(payload, "wait", False)
    return Claims(
        RoomName(room), Identity(identity), name, grant, float(payload["exp"]), seconds_in(payload, "iat"), wait
    )


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
