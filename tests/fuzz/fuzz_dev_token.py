"""Any body that asks for a development token gets one that our own keys accept, or a refusal in words."""

from __future__ import annotations

from signalling.http import _BadWish, _wish
from signalling.tokens import SOURCES, Grant, TokenError, Tokens, secret_key

TOKENS = Tokens([secret_key("dev", b"a secret for fuzzing and for nothing else")])
WALL = 1_700_000_000.0


def run(data: bytes) -> None:
    grant = Grant(frozenset(SOURCES))
    try:
        room, identity, name = _wish(data)
        token = TOKENS.issue(room=room, identity=identity, name=name, wall=WALL, lifetime=60.0, grant=grant)
    except (_BadWish, TokenError) as error:
        assert str(error)
        return
    claims = TOKENS.verify(token, WALL)
    assert (claims.room, claims.identity) == (room, identity)
    assert claims.name == (name or identity)
