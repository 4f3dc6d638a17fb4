"""What a token must be to open a door."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from signalling.keys import TokenError, ed25519_key, secret_key
from signalling.tokens import SOURCES, Grant, Tokens

NOW = 1_800_000_000.0
SECRET = b"a secret that is long enough to be one"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PUBLIC_TEXT = base64.urlsafe_b64encode(PUBLIC).rstrip(b"=").decode()
GOOD: dict[str, Any] = {"sub": "ada", "room": "lab", "exp": NOW + 60}

tokens = Tokens(
    [secret_key("a", SECRET), secret_key("b", b"another secret of a decent length!"), ed25519_key("e", PUBLIC_TEXT)]
)


def signed(claims: dict[str, Any], kid: str | None = "a", key: Any = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def refusal(token: str, now: float = NOW) -> str:
    with pytest.raises(TokenError) as caught:
        tokens.verify(token, now)
    return caught.value.code


def test_a_token_of_any_jwt_library_opens_its_room() -> None:
    claims = tokens.verify(signed({**GOOD, "name": "Ada L.", "publish": ["microphone"], "chat": False}), NOW)
    assert (claims.room, claims.identity, claims.name) == ("lab", "ada", "Ada L.")
    assert claims.grant == Grant(frozenset({"microphone"}), subscribe=True, chat=False, admin=False)


def test_what_is_left_out_is_allowed_except_to_administer() -> None:
    claims = tokens.verify(signed(GOOD), NOW)
    assert claims.name == "ada"
    assert claims.grant == Grant(frozenset(SOURCES), subscribe=True, chat=True, admin=False)


def test_what_we_issue_we_accept() -> None:
    grant = Grant(frozenset({"camera", "screen"}), subscribe=False, chat=False, admin=True)
    token = tokens.issue(room="lab", identity="ada", name="Ada", wall=NOW, lifetime=60, grant=grant)
    claims = tokens.verify(token, NOW)
    assert (claims.room, claims.identity, claims.name, claims.grant) == ("lab", "ada", "Ada", grant)
    assert refusal(token, NOW + 66) == "token_expired"


def test_a_token_ends_at_its_expiry_give_or_take_the_clocks() -> None:
    tokens.verify(signed(GOOD), NOW + 64)
    assert refusal(signed(GOOD), NOW + 65) == "token_expired"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_not_valid_yet(claim: str) -> None:
    tokens.verify(signed({**GOOD, claim: NOW + 4}), NOW)
    assert refusal(signed({**GOOD, claim: NOW + 6})) == "token_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e400},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 129},
        {"room": None},
        {"room": "a{b}"},
        {"room": "a\nb"},
        {"room": ["lab"]},
        {"name": 7},
        {"publish": ["microphone", "telepathy"]},
        {"publish": [["microphone"]]},
        {"publish": "microphone"},
        {"publish": 1},
        {"subscribe": "yes"},
        {"chat": None},
        {"admin": 1},
    ],
)
def test_a_claim_of_the_wrong_shape_is_refused(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**GOOD, **change}.items() if value is not None or name == "chat"}
    assert refusal(signed(claims)) == "token_invalid"


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_any_text_is_refused_with_the_one_error(text: str) -> None:
    assert refusal(text) == "token_invalid"


@given(st.integers(0, 400), st.characters())
def test_any_change_of_a_good_token_is_refused_or_does_not_matter(position: int, character: str) -> None:
    good = signed(GOOD)
    at = position % len(good)
    try:
        claims = tokens.verify(good[:at] + character + good[at + 1 :], NOW)
    except TokenError as error:
        assert error.code == "token_invalid"  # noqa: PT017 - either outcome is right
    else:
        assert claims == tokens.verify(good, NOW)
