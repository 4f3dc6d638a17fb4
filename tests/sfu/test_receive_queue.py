"""A receive queue: it is read in batches, knows a flood from a busy call, and believes only what the kernel says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.receive_queue import OWN_BATCH, SHARED_BATCH, ReceiveQueue
from sfu.udp import UdpSocket


class World:
    """A socket of the media port, its queue, and somebody who sends to it; what is `junk` is of no use."""

    def __init__(self, far: socket.socket) -> None:
        self.counters, self.far = Counters(), far
        self.udp = UdpSocket(LocalAddress("127.0.0.1"), 0, self.counters)
        self.queue = self.queue_of(self.udp.kernel, shared=True)
        self.seen: list[tuple[bytes, Any]] = []

    def queue_of(self, kernel: socket.socket, *, shared: bool) -> ReceiveQueue:
        return ReceiveQueue(self.udp, kernel, self.handle, self.counters, shared=shared)

    def handle(self, udp: UdpSocket, datagram: bytes, address: Any) -> bool:
        assert udp is self.udp
        if datagram == b"bad":
            raise ValueError
        self.seen.append((datagram, address))
        return datagram != b"junk"

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.far.sendto(datagram, ("127.0.0.1", self.udp.port))


@pytest.fixture
def world() -> Iterator[World]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        made = World(far)
        yield made
        made.udp.close()


def test_a_batch_is_read_in_order_and_no_more_than_that(world: World) -> None:
    sent = [number.to_bytes(2, "big") for number in range(SHARED_BATCH + 44)]
    world.send(*sent)
    assert world.queue.read()
    assert [datagram for datagram, _ in world.seen] == sent[:SHARED_BATCH]
    assert not world.queue.read()
    assert [datagram for datagram, _ in world.seen] == sent


@pytest.mark.parametrize(("useful", "flooded"), [(0, True), (SHARED_BATCH // 8 - 1, True), (SHARED_BATCH // 8, False)])
def test_a_full_batch_of_which_little_was_of_use_is_a_flood(world: World, useful: int, flooded: bool) -> None:
    world.send(*[b"good"] * useful, *[b"junk"] * (SHARED_BATCH - useful))
    assert world.queue.read()
    assert world.queue.flooded is flooded


def test_a_few_useless_datagrams_are_no_flood(world: World) -> None:
    world.send(*[b"junk"] * (SHARED_BATCH - 1))
    assert not world.queue.read()
    assert not world.queue.flooded


def test_a_fault_in_one_datagram_is_counted_and_the_next_is_handled(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.send(b"bad", b"good")
    world.queue.read()
    assert ([datagram for datagram, _ in world.seen], world.counters.media_internal_errors) == ([b"good"], 1)


def test_a_connected_socket_gets_what_comes_from_there_and_the_shared_one_the_rest(world: World) -> None:
    with (
        world.udp.connected(world.far.getsockname()) as own,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        world.send(b"mine")
        stranger.sendto(b"junk", ("127.0.0.1", world.udp.port))
        world.queue_of(own, shared=False).read()
        assert world.seen == [(b"mine", world.far.getsockname())]
        world.queue.read()
        assert [datagram for datagram, _ in world.seen] == [b"mine", b"junk"]


def test_what_a_stranger_got_into_the_socket_before_it_was_connected_counts_as_the_strangers(world: World) -> None:
    world.udp.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as own,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(("127.0.0.1", world.udp.port))
        stranger.sendto(b"early", ("127.0.0.1", world.udp.port))
        own.connect(world.far.getsockname())
        world.send(b"mine")
        world.queue_of(own, shared=False).read()
        assert world.seen == [(b"early", ("127.0.0.1", stranger.getsockname()[1])), (b"mine", world.far.getsockname())]


def test_before_it_is_closed_all_that_waits_is_handled(world: World) -> None:
    with world.udp.connected(world.far.getsockname()) as own:
        world.send(*[b"mine"] * (3 * OWN_BATCH + 1))
        world.queue_of(own, shared=False).drain()
        assert len(world.seen) == 3 * OWN_BATCH + 1


def test_an_icmp_error_about_something_sent_before_is_not_the_end(world: World) -> None:
    address = world.far.getsockname()
    with world.udp.connected(address) as own:
        queue = world.queue_of(own, shared=False)
        world.far.close()
        world.udp.send(b"to nobody", address)
        assert not queue.read()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(address)
            again.sendto(b"back", ("127.0.0.1", world.udp.port))
            assert not queue.read()
    assert world.seen == [(b"back", address)]


def test_what_the_kernel_had_to_throw_away_is_told(world: World) -> None:
    with world.udp.connected(world.far.getsockname()) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        world.send(*[bytes(1000)] * 100)
        queue = world.queue_of(own, shared=False)
        assert queue.drops > 50
        queue.drain()
        assert queue.drops + len(world.seen) == 100
        assert world.queue.drops == 0
