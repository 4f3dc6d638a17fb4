"""What an admin token must be, and that none of a member is one."""

from __future__ import annotations

import jwt
import pytest

from signalling.admin_tokens import AdminTokens, Operator
from signalling.keys import TokenError, secret_key
from signalling.tokens import Grant, Tokens

from .test_tokens import NOW, SECRET

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
