"""Ports that stay free while the server that had them is down."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 15_000


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has, below those that the kernel gives to outgoing connections.

    Else a client that tries again and again to reach a server which is down could be given that very port, and be
    connected to itself; or anybody else could have taken it by the time the server returns.
    """
    above = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert above > LOWEST, "every port of this machine may be given to an outgoing connection"
    for _ in range(1000):
        port = random.randrange(LOWEST, above)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
