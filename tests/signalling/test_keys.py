"""What a key may be, and that a token counts only if the key it names signed it, as that key signs."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from signalling.keys import KeyConfigError, ed25519_key, ed25519_pem, secret_key
from signalling.tokens import Grant, Tokens

from .test_tokens import GOOD, NOW, PRIVATE, PUBLIC, PUBLIC_TEXT, SECRET, refusal, signed, tokens

PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE_PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


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
