"""The command line."""

from __future__ import annotations

import time

import pytest

from signalling.admin_tokens import AdminTokens, Operator
from signalling.cli import main
from signalling.keys import secret_key
from signalling.tokens import Grant, Tokens

SECRET = "a-secret-that-is-long-enough-to-be-one"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AURALINK_KEYS", raising=False)
    monkeypatch.delenv("AURALINK_ADMIN_KEYS", raising=False)


def test_token_prints_a_token_that_the_server_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    main(
        [
            "token",
            "--room",
            "lab",
            "--identity",
            "ada",
            "--publish",
            "camera,screen",
            "--admin",
            "--wait",
            "--keys",
            f"a:{SECRET}",
        ]
    )
    claims = Tokens([secret_key("a", SECRET.encode())]).verify(capsys.readouterr().out.strip(), time.time())
    assert (claims.room, claims.identity, claims.name) == ("lab", "ada", "ada")
    assert claims.grant == Grant(frozenset({"camera", "screen"}), subscribe=True, chat=True, admin=True)
    assert claims.wait
    assert claims.expires == pytest.approx(time.time() + 6 * 3600, abs=5)


def test_token_takes_its_keys_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURALINK_KEYS", f"a:{SECRET}")
    main(["token", "--room", "lab", "--identity", "ada", "--publish", "none", "--ttl", "90s"])
    claims = Tokens([secret_key("a", SECRET.encode())]).verify(capsys.readouterr().out.strip(), time.time())
    assert claims.grant.publish == frozenset()


def test_token_prints_a_token_for_the_admin_api(capsys: pytest.CaptureFixture[str]) -> None:
    main(["token", "--admin-api", "--identity", "ops", "--ttl", "15m", "--admin-keys", f"op:{SECRET}"])
    operator = AdminTokens([secret_key("op", SECRET.encode())]).verify(capsys.readouterr().out.strip(), time.time())
    assert operator == Operator("op", "ops")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve", "--bogus"],
        ["serve", "--port", "x"],
        ["serve", "--host", "0.0.0.0"],
        ["token", "--room", "lab", "--identity", "ada"],
        ["token", "--keys", f"a:{SECRET}"],
        ["token", "--admin-api", "--keys", f"a:{SECRET}"],
        ["token", "--room", "lab", "--identity", "ada", "--keys", f"a:{SECRET}", "--ttl", "soon"],
        ["token", "--room", "lab", "--identity", "ada", "--keys", f"a:{SECRET}", "--publish", "nose"],
        ["token", "--room", "a{b}", "--identity", "ada", "--keys", f"a:{SECRET}"],
        ["token", "--room", "lab", "--identity", "ada", "--keys", "e:ed25519:" + "A" * 42 + "E"],
    ],
)
def test_a_wrong_call_ends_with_one_sentence_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("auralink: ")
    assert said.err.count("\n") == 1
