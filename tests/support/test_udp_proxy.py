"""The bad network of the tests is as bad as it was told to be, and equally bad every time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from .udp_proxy import Conditions, UdpProxy, udp_proxy


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and a server, both on loopback."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        for each in (client, server):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        yield client, server


async def receive(one: socket.socket) -> tuple[bytes, tuple[str, int]]:
    async with asyncio.timeout(2):
        return await asyncio.get_running_loop().sock_recvfrom(one, 2048)


async def test_datagrams_travel_both_ways(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = sockets
    async with udp_proxy(server.getsockname()) as proxy:
        client.sendto(b"question", proxy.address)
        data, address = await receive(server)
        server.sendto(b"answer", address)
        assert data == b"question"
        assert await receive(client) == (b"answer", proxy.address)


async def test_after_a_rebinding_the_server_sees_a_new_address_and_its_answers_arrive(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    client, server = sockets
    async with udp_proxy(server.getsockname()) as proxy:
        client.sendto(b"one", proxy.address)
        _, before = await receive(server)
        proxy.rebind()
        client.sendto(b"two", proxy.address)
        _, after = await receive(server)
        server.sendto(b"back", after)
        assert after != before
        assert await receive(client) == (b"back", proxy.address)


async def test_the_same_seed_loses_the_same_packets(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = sockets

    async def through(proxy: UdpProxy) -> list[bytes]:
        for number in range(100):
            client.sendto(bytes([number]), proxy.address)
        while proxy.forwarded + proxy.lost < 100:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return [(await receive(server))[0] for _ in range(proxy.forwarded)]

    async with udp_proxy(server.getsockname(), up=Conditions(loss=0.3), seed=7) as proxy:
        first = await through(proxy)
    async with udp_proxy(server.getsockname(), up=Conditions(loss=0.3), seed=7) as proxy:
        second = await through(proxy)
    assert first == second
    assert 50 < len(first) < 90


async def test_a_delay_holds_each_packet_back_that_long(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = sockets
    loop = asyncio.get_running_loop()
    async with udp_proxy(server.getsockname(), up=Conditions(delay=0.03)) as proxy:
        sent = loop.time()
        client.sendto(b"late", proxy.address)
        await receive(server)
        assert loop.time() - sent >= 0.029
