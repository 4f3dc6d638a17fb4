"""Which pages may talk to us."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalling.origins import (
    allowed,
    clean_host,
    is_loopback_host,
    is_loopback_name,
    page_origin,
    same_origin,
    websocket_url,
)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("http://LOCALHOST:8080", "localhost:8080"),
        ("https://call.example.org", "call.example.org"),
        ("https://call.example.org", "call.example.org:443"),
        ("http://call.example.org:80", "call.example.org"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_our_own_page_is_allowed(origin: str, host: str) -> None:
    assert same_origin(origin, host)
    assert allowed(origin, host, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "localhost:8080"),
        ("http://localhost:8081", "localhost:8080"),
        ("http://localhost:8080.evil.example", "localhost:8080"),
        ("http://localhost:8080@evil.example", "localhost:8080"),
        ("null", "localhost:8080"),
        ("", "localhost:8080"),
        ("http://", ""),
        ("file://localhost:8080", "localhost:8080"),
        ("http://localhost:99999", "localhost:99999"),
        ("http://[::1", "[::1"),
    ],
)
def test_another_page_is_not(origin: str, host: str) -> None:
    assert not allowed(origin, host, ())


def test_named_origins_are_allowed_beside_our_own() -> None:
    assert allowed("https://app.example", "sfu.example", ("https://app.example",))
    assert allowed("https://any.example", "sfu.example", ("*",))
    assert not allowed("https://other.example", "sfu.example", ("https://app.example",))


def test_what_is_no_browser_is_allowed() -> None:
    assert allowed(None, "sfu.example", ())


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_this_machine_has_three_names(host: str) -> None:
    assert is_loopback_host(host, 8080)
    assert not is_loopback_host(host, 8081)


@pytest.mark.parametrize(
    "host", ["rebound.example:8080", "localhost", "localhost.:8080", "127.0.0.1.nip.example:8080", ""]
)
def test_a_name_that_was_rebound_to_us_is_not_this_machine(host: str) -> None:
    assert not is_loopback_host(host, 8080)


@pytest.mark.parametrize("port", [80, 443])
def test_a_default_port_need_not_be_named(port: int) -> None:
    assert is_loopback_host("localhost", port)


@example("localhost\n")
@given(st.text())
def test_a_clean_host_is_safe_in_a_header(text: str) -> None:
    assert not set(clean_host(text)) & set(" ;,'\"\r\n")


@pytest.mark.parametrize(
    ("host", "origin", "scheme", "url"),
    [
        ("localhost:8080", None, "ws", "ws://localhost:8080/ws"),
        ("call.example", None, "wss", "wss://call.example/ws"),
        ("call.example", "https://call.example", "ws", "wss://call.example/ws"),
        ("call.example", "https://other.example", "ws", "ws://call.example/ws"),
        ("bad host", None, "ws", "ws://localhost/ws"),
    ],
)
def test_a_client_is_told_the_url_it_came_by(host: str, origin: str | None, scheme: str, url: str) -> None:
    assert websocket_url(host, origin, scheme) == url


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.0.0.7", "[::1]:9090", "[::1]"])
def test_this_machine_has_these_names(host: str) -> None:
    assert is_loopback_name(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "localhost.example.org:9090", "192.0.2.1", "127.0.0.1.example", "a b"]
)
def test_others_have_not(host: str) -> None:
    assert not is_loopback_name(host)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("wss://two.example.org/ws", "https://two.example.org"),
        ("wss://Two.example.org:443/ws", "https://two.example.org"),
        ("ws://127.0.0.1:8080/ws", "http://127.0.0.1:8080"),
        ("ws://[::1]:8080/ws", "http://[::1]:8080"),
        ("wss://user@two.example.org:80/ws", "https://two.example.org:80"),
        ("", ""),
        ("https://two.example.org", ""),
        ("ws://[::1", ""),
        ("ws://two.example.org:99999/ws", ""),
        ("ws:///ws", ""),
        ("wss://two example/ws", ""),
        ("wss://*/ws", ""),
    ],
)
def test_the_page_of_another_instance_has_the_origin_that_browsers_tell(url: str, origin: str) -> None:
    assert page_origin(url) == origin


@given(st.text())
def test_no_url_that_another_instance_tells_stops_us(url: str) -> None:
    origin = page_origin(url)
    assert origin == "" or same_origin(origin, origin.partition("://")[2])
