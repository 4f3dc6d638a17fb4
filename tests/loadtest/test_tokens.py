"""Tokens that we sign are those of the protocol, and who gives none is told apart in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest

from loadtest import tokens
from loadtest.tokens import TokenRefused, endpoint_of, from_endpoint, from_keys, sign

SECRET = "a-secret-that-is-long-enough-to-be-one"


def test_a_signed_token_is_read_by_an_independent_library() -> None:
    token = sign("first", SECRET, "tea", "ada", 1_000_000.9)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "first"}
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert claims == {"sub": "ada", "room": "tea", "name": "ada", "iat": 1_000_000, "exp": 1_000_000 + 6 * 3600}


def test_the_first_of_several_keys_signs_now() -> None:
    token = from_keys(f" first:{SECRET},second:{SECRET * 2}")("tea", "ada")
    assert jwt.get_unverified_header(token)["kid"] == "first"
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "ada"


@pytest.mark.parametrize("keys", ["", "first", "first:", ":secret", "a:@file", "a:ed25519:key", ",a:secret"])
def test_keys_that_cannot_sign_are_refused(keys: str) -> None:
    with pytest.raises(TokenRefused, match="kid:secret"):
        from_keys(keys)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("ws://localhost:8080/ws", "http://localhost:8080/api/dev/token"),
        ("wss://call.example/ws?x=1#y", "https://call.example/api/dev/token"),
        ("ws://[::1]:1/", "http://[::1]:1/api/dev/token"),
    ],
)
def test_the_endpoint_is_on_the_server_that_is_joined(url: str, endpoint: str) -> None:
    assert endpoint_of(url) == endpoint


# ------------------------------------------------------------------------------------------------------- endpoint


class Answers:
    """What a server answers, one after the other: raw bytes. `asked` are the bodies of the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.url = ""


@contextmanager
def serving(*answers: bytes) -> Iterator[Answers]:
    """A server on loopback."""
    told = Answers(*answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.wfile.write(told.answers.pop(0))
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/api/dev/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.001})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


BUSY = b"HTTP/1.0 429 Too Many Requests\r\n%s\r\n"


def test_an_endpoint_is_asked_for_the_room_and_the_identity() -> None:
    with serving(ok(b'{"token": "abc"}')) as server:
        assert from_endpoint(server.url)("tea", "ada") == "abc"
    assert server.asked == [b'{"room": "tea", "identity": "ada", "name": "ada"}']


def test_a_busy_endpoint_is_asked_again_after_the_time_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(tokens.time, "sleep", waited.append)
    headers = (b"Retry-After: 3\r\n", b"", b"Retry-After: Wed, 21 Oct 2026\r\n", b"Retry-After: -1\r\n")
    endless = b"Retry-After: " + b"9" * 5000 + b"\r\n"
    with serving(*(BUSY % header for header in (*headers, endless)), ok(b'{"token": "abc"}')) as server:
        assert from_endpoint(server.url)("tea", "ada") == "abc"
    assert waited == [3.0, 1.0, 1.0, 1.0, 10.0]


def test_an_endpoint_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens.time, "sleep", lambda _: None)
    with serving(*[BUSY % b""] * 20) as server, pytest.raises(TokenRefused, match="refuses more tokens"):
        from_endpoint(server.url)("tea", "ada")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 404 Not Found\r\n\r\n",
        ok(b""),
        ok(b"<html>"),
        ok(b"{}"),
        ok(b"[]"),
        ok(b"\xff"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"SSH-2.0-server\r\n",
        b"",
    ],
)
def test_an_endpoint_that_gives_no_token_is_a_refusal(answer: bytes) -> None:
    with serving(answer) as server, pytest.raises(TokenRefused, match="/api/dev/token"):
        from_endpoint(server.url)("tea", "ada")


def test_an_endpoint_that_is_not_there_is_a_refusal() -> None:
    with serving() as server:
        pass
    with pytest.raises(TokenRefused, match="refused"):
        from_endpoint(server.url)("tea", "ada")
