"""Any text is refused as a token by TokenError; with claims that our own key signed it may also be bounded claims."""

from __future__ import annotations

import base64
import hmac

from signalling.admin_tokens import AdminTokens
from signalling.keys import LEEWAY, MAX_NAME, TokenError, secret_key
from signalling.tokens import Tokens

SECRET = b"a secret for fuzzing and for nothing else"
TOKENS, ADMIN_TOKENS = Tokens([secret_key("k", SECRET)]), AdminTokens([secret_key("k", SECRET)])
WALL = 1_700_000_000.0


def run(data: bytes) -> None:
    for token in (data.decode("utf-8", "surrogateescape"), signed(data)):
        _administer(token)
        try:
            claims = TOKENS.verify(token, WALL)
        except TokenError as error:
            assert error.code in ("token_invalid", "token_expired")
            continue
        assert claims.expires + LEEWAY > WALL
        assert all(1 <= len(text) <= MAX_NAME for text in (claims.room, claims.identity, claims.name))


def _administer(token: str) -> None:
    try:
        operator = ADMIN_TOKENS.verify(token, WALL)
    except TokenError as error:
        assert error.code in ("token_invalid", "token_expired")
        return
    assert len(operator.name) <= MAX_NAME


def signed(claims: bytes) -> str:
    """A token around any bytes as our own service would sign it: whoever has the key may still make mistakes."""
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256","kid":"k"}', claims))
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET, text, "sha256")).rstrip(b"=")
    return (text + b"." + signature).decode()
