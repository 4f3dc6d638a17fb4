"""The UDP socket: runs of equal packets leave in one call, and what one address cannot take is no one else's matter."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.udp import UdpSocket

ONE, OTHER = ("127.0.0.1", 1), ("127.0.0.1", 2)


class Kernel:
    """Takes what is sent as (sizes of the datagrams, address); `refuse` may raise."""

    def __init__(self, udp: UdpSocket) -> None:
        self.calls: list[tuple[list[int], Any]] = []
        self.refuse: Callable[[int, Any], None] = lambda count, address: None
        udp._sendmsg = self.sendmsg  # type: ignore[assignment]
        udp._sendto = self.sendto  # type: ignore[assignment]
        udp.gso = True

    def sendmsg(self, parts: list[bytes], ancillary: list[Any], flags: int, address: Any) -> None:
        data, size = b"".join(parts), 0
        for _, _, value in ancillary:
            (size,) = struct.unpack("=H", value)
        self._take([data[at : at + size] for at in range(0, len(data), size)] if size else [data], address)

    def sendto(self, data: bytes, address: Any) -> None:
        self._take([data], address)

    def _take(self, datagrams: list[bytes], address: Any) -> None:
        self.refuse(len(datagrams), address)
        self.calls.append(([len(datagram) for datagram in datagrams], address))


@pytest.fixture
def udp() -> Iterator[UdpSocket]:
    opened = UdpSocket(LocalAddress("127.0.0.1"), 0, Counters())
    yield opened
    opened.close()


def queue(*sizes: int) -> list[bytes]:
    return [bytes([number % 256]) * size for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([100], [[100]]),
        ([100, 100, 100], [[100, 100, 100]]),
        ([100, 100, 40, 100], [[100, 100, 40], [100]]),
        ([40, 100, 100], [[40], [100, 100]]),
        ([100, 40, 40], [[100, 40], [40]]),
        ([9] * 35, [[9] * 16, [9] * 16, [9] * 3]),
        ([], []),
    ],
)
def test_runs_are_of_one_size_whose_last_may_be_shorter(
    udp: UdpSocket, sizes: list[int], runs: list[list[int]]
) -> None:
    kernel = Kernel(udp)
    udp.send_queue(queue(*sizes), ONE)
    assert [run for run, _ in kernel.calls] == runs
    assert udp._counters.packets_forwarded == len(sizes)
    assert udp._counters.bytes_forwarded == sum(sizes)


def test_without_segmentation_each_packet_is_sent_on_its_own(udp: UdpSocket) -> None:
    kernel = Kernel(udp)
    udp.gso = False
    udp.send_queue(queue(100, 100), ONE)
    assert [run for run, _ in kernel.calls] == [[100], [100]]


@pytest.mark.parametrize("code", [errno.EMSGSIZE, errno.EINVAL, errno.EIO])
def test_an_address_that_takes_no_runs_gets_single_packets_and_the_others_go_on(udp: UdpSocket, code: int) -> None:
    kernel = Kernel(udp)

    def refuse(count: int, address: Any) -> None:
        if count > 1 and address == ONE:
            raise OSError(code, "no")

    kernel.refuse = refuse
    for _ in range(2):
        udp.send_queue(queue(100, 100), ONE)
        udp.send_queue(queue(100, 100), OTHER)
    assert kernel.calls == [([100], ONE), ([100], ONE), ([100, 100], OTHER)] * 2
    assert udp._counters.send_failures == 0


def test_a_full_buffer_loses_its_packets_counts_them_and_raises_nothing(udp: UdpSocket) -> None:
    kernel = Kernel(udp)

    def refuse(count: int, address: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "full")

    kernel.refuse = refuse
    udp.send_queue(queue(100, 100, 100, 300), ONE)
    assert udp._counters.send_failures == 4
    assert not udp._single


def test_real_segments_arrive_as_the_packets_they_were(udp: UdpSocket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(2)
        sent = queue(*[1100] * 20, 7)
        udp.send_queue(sent, far.getsockname())
        assert [far.recv(2048) for _ in sent] == sent


def test_a_datagram_that_cannot_be_sent_is_counted(udp: UdpSocket) -> None:
    udp.send(bytes(70_000), ONE)
    assert udp._counters.send_failures == 1


def test_a_port_that_is_taken_is_an_error(udp: UdpSocket) -> None:
    with pytest.raises(OSError, match="in use"):
        UdpSocket(LocalAddress("127.0.0.1"), udp.port, Counters())


def test_nobody_else_can_bind_the_port_beside_the_sockets_of_participants(udp: UdpSocket) -> None:
    with udp.connected(ONE), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", udp.port))


def test_the_announced_address_is_the_public_one_where_there_is_one(udp: UdpSocket) -> None:
    assert udp.announced == ("127.0.0.1", udp.port)
    udp.local = LocalAddress("127.0.0.1", "203.0.113.5", 443)
    assert udp.announced == ("203.0.113.5", 443)
