"""Any Origin and Host are judged without an error, and what is repeated of them is safe inside a header."""

from __future__ import annotations

import re

from signalling import origins

CLEAN = re.compile(r"[a-z0-9_.:\[\]-]+")


def run(data: bytes) -> None:
    # Headers arrive as Latin-1.
    origin, _, rest = data.decode("latin-1").partition("\0")
    host, _, scheme = rest.partition("\0")
    clean = origins.clean_host(host)
    assert not clean or CLEAN.fullmatch(clean)
    assert clean or not origins.same_origin(origin, host)
    assert origins.allowed(origin, host, {"*"})
    assert origins.allowed(None, host, ())
    assert origins.allowed(origin, host, ()) == origins.same_origin(origin, host)
    if origins.is_loopback_host(host, 8080):
        assert clean.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
    url = origins.websocket_url(host, origin, scheme)
    assert re.fullmatch(rf"wss?://{CLEAN.pattern}/ws", url)
