"""What a TURN server accepts."""

from __future__ import annotations

import pytest

from turn_probe.credentials import Credentials, EchoLogin, FixedUser, SharedSecret, accepts, echo_login, issue
from turn_probe.events import EchoFound
from turn_probe.turn import Key


def test_credentials_are_those_of_the_rest_scheme() -> None:
    """The password was computed with: printf 1433895918:alice | openssl dgst -sha1 -hmac north -binary | base64."""
    login = issue("north", "alice", 1433895858.0, 60.0)
    assert (login.username, login.password) == ("1433895918:alice", "RqMvcGPYTJMGThVLSi4amT4zFtI=")


def test_they_are_valid_until_they_expire() -> None:
    login = issue("north", "alice", 1000.0, 60.0)
    assert accepts(["north"], login.username, login.password, 1060.0)
    assert not accepts(["north"], login.username, login.password, 1061.0)


def test_while_secrets_rotate_both_are_accepted() -> None:
    login = issue("old", "alice", 1000.0, 60.0)
    assert accepts(["new", "old"], login.username, login.password, 1000.0)
    assert not accepts(["new"], login.username, login.password, 1000.0)


@pytest.mark.parametrize("username", ["", "alice", "soon:alice", "²:alice", "1060:bob", ":"])
def test_another_name_does_not_fit_the_password(username: str) -> None:
    assert not accepts(["north"], username, issue("north", "alice", 1000.0, 60.0).password, 1000.0)


@pytest.mark.parametrize(
    "holder",
    [
        Credentials("alice", "hidden"),
        FixedUser("alice", "hidden"),
        SharedSecret("hidden"),
        EchoLogin("ufrag", "hidden"),
        EchoFound([], "ufrag", "hidden"),
        Key("alice", "hidden", "realm", b"nonce"),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_whatever_holds_a_password_does_not_show_it(holder: object) -> None:
    """For what asyncio logs of a slow callback has its arguments in it."""
    assert "hidden" not in repr(holder)


def test_who_knows_the_secret_knows_how_to_have_the_media_port_answer() -> None:
    login = echo_login("north")
    assert echo_login("north") == login
    assert echo_login("south") != login
    assert login.password not in repr(login)
    assert len(login.ufrag) != 12  # as those of peers are
