"""The networks of people at home are as hostile as tests of relays need them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from .nat import any_tcp, behind_nat, only_tcp_to
from .network import Network


def listening(network: Network, port: int) -> socket.socket:
    """A UDP socket at this port of the network."""
    made = network.datagram_socket()
    made.bind((network.address, port))
    return made


async def heard(where: socket.socket, within: float = 2.0) -> tuple[bytes, tuple[str, int]]:
    """The next datagram and who sent it. Raises TimeoutError."""
    async with asyncio.timeout(within):
        data, source = await asyncio.get_running_loop().sock_recvfrom(where, 100)
        return data, source


async def test_every_peer_sees_another_port_of_one_socket(network: Network) -> None:
    with behind_nat(network) as home, home.datagram_socket() as inside:
        inside.bind((home.address, 5000))
        with listening(network, 6001) as one, listening(network, 6002) as other:
            inside.sendto(b"to one", (network.address, 6001))
            inside.sendto(b"to other", (network.address, 6002))
            (said, seen), (_, seen_by_other) = await heard(one), await heard(other)
            assert said == b"to one"
            assert len({5000, seen[1], seen_by_other[1]}) == 3
            # Only the one who was written to gets in, by the port that it has seen.
            other.sendto(b"a stranger", seen)
            one.sendto(b"an answer", seen)
            assert (await heard(inside))[0] == b"an answer"
            with pytest.raises(TimeoutError):
                await heard(inside, within=0.2)


async def test_two_homes_do_not_reach_each_other(network: Network) -> None:
    with (
        behind_nat(network) as one,
        behind_nat(network) as other,
        one.datagram_socket() as here,
        listening(other, 5000) as there,
        listening(network, 6001) as server,
    ):
        here.sendto(b"hello", (other.address, 5000))
        with pytest.raises(TimeoutError):
            await heard(there, within=0.3)
        here.sendto(b"hello", (network.address, 6001))
        await heard(server)


async def test_a_network_without_udp_lets_tcp_out_to_what_it_allows(network: Network) -> None:
    with (
        behind_nat(network, only_tcp_to(6001)) as home,
        home.datagram_socket() as inside,
        listening(network, 6001) as datagrams,
        listener(network, 6001),
        listener(network, 6002),
    ):
        inside.sendto(b"hello", (network.address, 6001))
        with pytest.raises(TimeoutError):
            await heard(datagrams, within=0.3)
        (await home.connect(network.address, 6001)).close()
        with pytest.raises(TimeoutError):
            await home.connect(network.address, 6002)


async def test_a_firewall_opens_while_somebody_is_at_home(network: Network) -> None:
    with behind_nat(network, only_tcp_to(6001)) as home, listener(network, 6001), listener(network, 6002):
        with pytest.raises(TimeoutError):
            await home.connect(network.address, 6002)
        home.opens(6002)
        for port in (6001, 6002):
            (await home.connect(network.address, port)).close()


async def test_a_network_of_tcp_alone_lets_it_out_to_everything_and_no_datagram(network: Network) -> None:
    with (
        behind_nat(network, any_tcp()) as home,
        home.datagram_socket() as inside,
        listening(network, 6001) as datagrams,
        listener(network, 6001),
        listener(network, 6002),
    ):
        inside.sendto(b"hello", (network.address, 6001))
        with pytest.raises(TimeoutError):
            await heard(datagrams, within=0.3)
        for port in (6001, 6002):
            (await home.connect(network.address, port)).close()


def listener(network: Network, port: int) -> socket.socket:
    """A TCP socket that listens at this port of the network."""
    made = network.stream_socket()
    made.bind((network.address, port))
    made.listen()
    return made
