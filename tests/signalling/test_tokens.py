"""What a token must be to open a door."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from signalling.admin_tokens import AdminTokens, Operator
from signalling.keys import KeyConfigError, TokenError, ed25519_key, ed25519_pem, secret_key
from signalling.tokens import SOURCES, Grant, Tokens

NOW = 1_800_000_000.0
SECRET = b"a secret that is long enough to be one"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE_PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
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


def test_each_key_verifies_what_it_signed_and_nothing_else() -> None:
    tokens.verify(signed(GOOD, "b", b"another secret of a decent length!"), NOW)
    tokens.verify(signed(GOOD, "e", PRIVATE, "EdDSA"), NOW)
    assert refusal(signed(GOOD, "b")) == "token_invalid"
    assert refusal(signed(GOOD, "unknown")) == "token_invalid"
    assert refusal(signed(GOOD, None)) == "token_invalid"


def test_a_lone_key_need_not_be_named() -> None:
    assert Tokens([secret_key("a", SECRET)]).verify(signed(GOOD, None), NOW).room == "lab"


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion of algorithms: an HS256 token that is signed with our well-known Ed25519 public key."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"e","typ":"JWT"}').rstrip(b"=")
    for secret in (PUBLIC, PUBLIC_TEXT.encode()):
        forged = signed(GOOD, "e", secret, "HS256")
        assert forged.encode().split(b".")[0] == head
        assert refusal(forged) == "token_invalid"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    _, body, _ = signed(GOOD).split(".")
    head = base64.urlsafe_b64encode(f'{{"alg":"{algorithm}","kid":"a"}}'.encode()).rstrip(b"=").decode()
    assert refusal(f"{head}.{body}.") == "token_invalid"


def test_a_token_that_was_tampered_with_is_refused() -> None:
    head, _, signature = signed(GOOD).split(".")
    _, body, _ = signed({**GOOD, "admin": True}).split(".")
    assert refusal(f"{head}.{body}.{signature}") == "token_invalid"


def test_a_token_of_a_stronger_hash_than_the_key_is_for_is_refused() -> None:
    assert refusal(signed(GOOD, "a", SECRET * 2, "HS512")) == "token_invalid"


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


def test_keys_that_are_none_are_refused_in_words_that_keep_the_secret() -> None:
    with pytest.raises(KeyConfigError, match="at least 32") as caught:
        secret_key("a", b"hunter2")
    assert "hunter2" not in str(caught.value)
    for text in ("", "AAAA", "no base64!", PUBLIC_TEXT + "AAAA"):
        with pytest.raises(KeyConfigError, match="32 bytes"):
            ed25519_key("e", text)
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", PUBLIC_PEM[:40]):
        with pytest.raises(KeyConfigError, match="PEM"):
            ed25519_pem("e", pem)


def test_a_private_pem_issues_and_a_public_one_only_verifies() -> None:
    grant = Grant(frozenset())
    token = Tokens([ed25519_pem("e", PRIVATE_PEM)]).issue(
        room="lab", identity="ada", wall=NOW, lifetime=60, grant=grant
    )
    public = Tokens([ed25519_pem("e", PUBLIC_PEM)])
    assert public.verify(token, NOW).grant.publish == frozenset()
    with pytest.raises(KeyConfigError, match="only verifies"):
        public.issue(room="lab", identity="ada", wall=NOW, lifetime=60, grant=grant)


def test_a_key_does_not_show_its_secret() -> None:
    assert "secret that" not in repr(secret_key("a", SECRET))


# ------------------------------------------------------------------------------------------------------ admin tokens

ADMIN = AdminTokens([secret_key("op", SECRET)])
ADMIN_CLAIMS = {"aud": "auralink-admin", "admin_api": True, "exp": NOW + 60}


def test_an_admin_token_names_its_key_and_its_holder() -> None:
    assert ADMIN.verify(ADMIN.issue(wall=NOW, lifetime=60, name="ops"), NOW) == Operator("op", "ops")
    assert ADMIN.verify(ADMIN.issue(wall=NOW, lifetime=60), NOW) == Operator("op", "")
    listed = jwt.encode(ADMIN_CLAIMS | {"aud": ["x", "auralink-admin"]}, SECRET, "HS256", {"kid": "op"})
    assert ADMIN.verify(listed, NOW).kid == "op"


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": None},
        {"aud": "auralink"},
        {"aud": ["x"]},
        {"aud": {"auralink-admin": 1}},
        {"admin_api": None},
        {"admin_api": False},
        {"admin_api": 1},
        {"admin_api": "true"},
        {"exp": None},
        {"exp": NOW - 60},
        {"nbf": NOW + 60},
        {"sub": 7},
        {"sub": "a\nb"},
    ],
)
def test_a_token_that_is_not_wholly_one_for_operators_is_refused(wrong: dict[str, object]) -> None:
    claims = {name: value for name, value in (ADMIN_CLAIMS | wrong).items() if value is not None}
    with pytest.raises(TokenError):
        ADMIN.verify(jwt.encode(claims, SECRET, "HS256", {"kid": "op"}), NOW)


def test_a_token_of_a_member_opens_nothing_for_an_operator_and_the_other_way_round() -> None:
    member = Tokens([secret_key("op", SECRET)])
    grant = Grant(frozenset(), admin=True)
    with pytest.raises(TokenError):
        ADMIN.verify(member.issue(room="lab", identity="ada", wall=NOW, lifetime=60, grant=grant), NOW)
    with pytest.raises(TokenError):
        member.verify(ADMIN.issue(wall=NOW, lifetime=60, name="ada"), NOW)
