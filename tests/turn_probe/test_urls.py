"""URLs of STUN and TURN servers are read as their RFCs have it, and nothing else is."""

from __future__ import annotations

import pytest

from turn_probe.urls import Transport, UrlError, parse


@pytest.mark.parametrize(
    ("url", "relays", "host", "port", "transport"),
    [
        ("stun:s.example", False, "s.example", 3478, Transport.UDP),
        ("stuns:s.example", False, "s.example", 5349, Transport.TLS),
        ("turn:t.example", True, "t.example", 3478, Transport.UDP),
        ("turn:T.Example.:99?transport=udp", True, "t.example.", 99, Transport.UDP),
        ("turn:192.0.2.1:3478?transport=tcp", True, "192.0.2.1", 3478, Transport.TCP),
        ("turns:t.example", True, "t.example", 5349, Transport.TLS),
        ("turns:[2001:DB8:0::1]:443?transport=tcp", True, "2001:db8::1", 443, Transport.TLS),
    ],
)
def test_what_it_says_is_understood(url: str, relays: bool, host: str, port: int, transport: Transport) -> None:
    server = parse(url)
    assert (server.relays, server.host, server.port, server.transport) == (relays, host, port, transport)
    assert server.url == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "turn:", "turn://t.example", "http://t.example", "turn:t.example:0", "turn:t.example:65536", "turn:a b"),
        *("turn:user@t.example", "turn:[::1", "turn:[192.0.2.1]", "turn:2001:db8::1", "turn:1.2.3", "turn:-a.example"),
        *("turn:t.example?transport=sctp", "stun:s.example?transport=udp", "turns:t.example?transport=udp"),
        *("turn:t.example:3478\n", "turn:t.example/path", f"turn:{'a' * 64}.example", "turn:a..b"),
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(UrlError):
        parse(url)
