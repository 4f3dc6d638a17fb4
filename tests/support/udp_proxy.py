"""A bad network in one small UDP proxy: delay, jitter, loss, and a NAT that changes its port.

It stands between any number of clients and one server. Each client is given a socket of its own towards the server,
as a NAT would, so that the server sees one address per client.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .network import HOST, Network

Address = tuple[str, int]


@dataclass
class Conditions:
    """How bad the network is; may be changed at any time. Each packet is judged by the conditions it meets."""

    delay: float = 0.0  # seconds, one way
    jitter: float = 0.0  # seconds, added evenly between 0 and this; packets may overtake each other
    loss: float = 0.0  # share of packets lost, 0 to 1


class UdpProxy:
    """Forwards datagrams both ways between its own `address` and `server`, under `up` and `down` conditions."""

    def __init__(self, server: Address, up: Conditions, down: Conditions, seed: int, network: Network) -> None:
        self._network = network
        self.server = server
        self.up = up
        self.down = down
        self.forwarded = 0
        self.lost = 0
        self._random = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._front: asyncio.DatagramTransport | None = None
        self._back: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._openings = asyncio.TaskGroup()

    @property
    def address(self) -> Address:
        """Where clients send to."""
        assert self._front
        host, port = self._front.get_extra_info("sockname")[:2]
        return host, port

    def rebind(self) -> None:
        """Give every client a new port towards the server, as a NAT does that forgot it; the old ports are dead."""
        for transport in self._back.values():
            transport.close()
        self._back.clear()

    def _from_client(self, data: bytes, client: Address) -> None:
        if (waiting := self._opening.get(client)) is not None:
            waiting.append(data)
        elif transport := self._back.get(client):
            self._carry(self.up, lambda: _send(transport, data, None))
        else:
            self._opening[client] = [data]
            self._openings.create_task(self._open(client))

    async def _open(self, client: Address) -> None:
        back = self._network.datagram_socket()
        back.connect(self.server)
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Receiver(lambda data, _: self._from_server(data, client)), sock=back
        )
        self._back[client] = transport
        for data in self._opening.pop(client):
            self._from_client(data, client)

    def _from_server(self, data: bytes, client: Address) -> None:
        front = self._front
        if front:
            self._carry(self.down, lambda: _send(front, data, client))

    def _carry(self, conditions: Conditions, send: Callable[[], None]) -> None:
        if self._random.random() < conditions.loss:
            self.lost += 1
            return
        self.forwarded += 1
        delay = conditions.delay + self._random.uniform(0, conditions.jitter)
        if delay > 0:
            self._loop.call_later(delay, send)
        else:
            send()


def _send(transport: asyncio.DatagramTransport, data: bytes, address: Address | None) -> None:
    if not transport.is_closing():
        transport.sendto(data, address)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at the other end just now, which a network does not mind."""


@asynccontextmanager
async def udp_proxy(
    server: Address,
    up: Conditions | None = None,
    down: Conditions | None = None,
    *,
    host: str = "127.0.0.1",
    seed: int = 1,
    network: Network = HOST,
) -> AsyncIterator[UdpProxy]:
    """A proxy in front of `server` for as long as the block lasts; the same `seed` loses the same packets."""
    proxy = UdpProxy(server, up or Conditions(), down or Conditions(), seed, network)
    own = network.datagram_socket()
    own.bind((host, 0))
    front, _ = await proxy._loop.create_datagram_endpoint(lambda: _Receiver(proxy._from_client), sock=own)
    proxy._front = front
    try:
        async with proxy._openings:
            yield proxy
    finally:
        for transport in [front, *proxy._back.values()]:
            transport.close()
