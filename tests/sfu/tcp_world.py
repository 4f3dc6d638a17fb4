"""A TCP port whose frames mean little, its clients, and what they see of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.framing import framed
from sfu.tcp import TcpConnection
from sfu.tcp_port import TcpPort
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

HOSTS = ["127.0.0.1", "::1"]
CHECK, JUNK, MEDIA = b"\0\1check", b"\0\1junk", b"\x80media"


class World:
    """A TCP port on one address, to which only CHECK is authentic and only MEDIA of use."""

    def __init__(self, host: str) -> None:
        self.host, self.counters, self.clock = host, Counters(), FakeClock()
        self.seen: list[bytes] = []
        self.batches: list[int] = []
        self.connections: list[TcpConnection] = []  # that were authentic
        self.ended: list[TcpConnection] = []
        self.forgotten: set[TcpConnection] = set()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            self.number = probe.getsockname()[1]
        self.port = TcpPort(
            [LocalAddress(host)],
            self.number,
            self.counters,
            self.handle,
            self.ended.append,
            lambda connection: connection not in self.forgotten,
            lambda: self.batches.append(len(self.seen)),
            self.clock,
        )
        self._clients = ExitStack()

    def handle(self, connection: TcpConnection, frame: bytes, address: Any) -> bool:
        assert address == connection.address
        self.seen.append(frame)
        if frame == CHECK:
            self.connections.append(connection)
        elif frame == b"\x80fault":
            raise RuntimeError("a fault of ours")
        return frame in (CHECK, MEDIA)

    def client(self, *frames: bytes, source: str = "") -> socket.socket:
        own = (source, 0) if source else None
        client = self._clients.enter_context(socket.create_connection((self.host, self.number), source_address=own))
        client.settimeout(2)
        client.sendall(b"".join(map(framed, frames)))
        return client

    async def friend(self) -> tuple[socket.socket, TcpConnection]:
        """A client that was let in, and our end of it."""
        known = len(self.connections)
        client = self.client(CHECK)
        await eventually(lambda: len(self.connections) > known, every=0)
        return client, self.connections[-1]

    @property
    def refused(self) -> dict[str, int]:
        return dict(self.counters.tcp_refused)

    @property
    def inside(self) -> tuple[float, float]:
        """How many are connected, and how many of them are strangers."""
        gauges = self.port.gauges()
        return gauges["media_tcp_connections"], gauges["media_tcp_strangers"]

    def close(self) -> None:
        self.port.close()
        self._clients.close()


@contextmanager
def opened(host: str) -> Iterator[World]:
    """A world whose port is open while the block runs."""
    made = World(host)
    made.port.open()
    try:
        yield made
    finally:
        made.close()


def is_closed(client: socket.socket) -> bool:
    """Whether the other side has ended the connection; what it sent before is read away."""
    client.setblocking(False)
    try:
        while data := client.recv(65536):
            del data
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
