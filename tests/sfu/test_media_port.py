"""The media port: participants have queues of their own, a flood of strangers fills only the one they share."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sfu import media_port
from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.media_port import REST, MediaPort
from sfu.path import Path
from sfu.receive_queue import SHARED_BATCH
from sfu.udp import UdpSocket
from tests.support.waiting import eventually


class World:
    """A media port on one address, and clients of it; what begins with `!` is of no use to anybody."""

    def __init__(self, host: str) -> None:
        self.host, self.counters = host, Counters()
        self.seen: list[tuple[bytes, Any]] = []
        self.batches: list[int] = []
        self.port = MediaPort(
            [LocalAddress(host)], 0, self.counters, self.handle, lambda: self.batches.append(len(self.seen))
        )
        self.udp = self.port._sockets[0]
        self._clients = ExitStack()

    def handle(self, udp: UdpSocket, datagram: bytes, address: Any) -> bool:
        assert udp is self.udp
        self.seen.append((datagram, address))
        return not datagram.startswith(b"!")

    def client(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        client = self._clients.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        client.bind((self.host, 0))
        client.connect((self.host, self.port.number))
        return client

    def give(self, *clients: socket.socket, now: float = 0.0) -> None:
        self.port.give_queues([Path(self.udp, client.getsockname()) for client in clients], now)

    @property
    def texts(self) -> list[bytes]:
        return [datagram for datagram, _ in self.seen]

    @property
    def own(self) -> tuple[float, float]:
        """How many have a queue of their own, and how many do not."""
        gauges = self.port.gauges()
        return gauges["media_own_queues"], gauges["media_peers_without_own_queue"]

    def close(self) -> None:
        if self.port._queues:
            self.port.close()
        self._clients.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(request.param)
    made.port.open()
    yield made
    made.close()


@pytest.fixture
def no_more_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(self: UdpSocket, address: Any) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as changed:
        changed.setattr(UdpSocket, "connected", refuse)
        yield


async def test_one_wake_up_reads_a_batch_and_then_lets_others_run(world: World) -> None:
    client = world.client()
    for _ in range(SHARED_BATCH + 44):
        client.send(b"media")
    await eventually(lambda: len(world.seen) == SHARED_BATCH + 44, every=0)
    assert world.batches == [SHARED_BATCH, SHARED_BATCH + 44]
    assert world.counters.queue_rests == 0


async def test_a_flooded_queue_rests_between_its_batches(world: World) -> None:
    stranger = world.client()
    for _ in range(2 * SHARED_BATCH):
        stranger.send(b"!")
    began = time.monotonic()
    await eventually(lambda: len(world.seen) == 2 * SHARED_BATCH, every=0)
    assert time.monotonic() - began >= REST / 2, "the loop's timers are exact to a millisecond"
    assert world.counters.queue_rests == 2


async def test_a_flood_of_strangers_takes_nothing_from_who_has_a_queue_of_its_own(world: World) -> None:
    ann, stranger = world.client(), world.client()
    world.give(ann)
    world.udp.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for number in range(1000):
        stranger.send(b"!" * 100)
        if not number % 100:
            ann.send(b"media %d" % number)
    assert world.port.counts()["udp_kernel_drops_total"] > 500
    await eventually(lambda: len(world.seen) >= 10)
    assert world.texts[:10] == [b"media %d" % number for number in range(0, 1000, 100)], "and its turn comes first"
    assert world.port.counts()["udp_kernel_drops_of_participants_total"] == 0


async def test_a_participant_that_floods_rests_alone(world: World) -> None:
    ann, bob = world.client(), world.client()
    world.give(ann, bob)
    for _ in range(100):
        ann.send(b"!")
    await eventually(lambda: world.counters.queue_rests == 1, every=0)
    bob.send(b"media")
    await eventually(lambda: b"media" in world.texts, every=0)
    assert world.texts.index(b"media") < 100
    await eventually(lambda: world.texts.count(b"!") == 100)


async def test_who_moves_leaves_nothing_behind_and_is_heard_on_both_paths(world: World) -> None:
    before, after = world.client(), world.client()
    world.give(before)
    before.send(b"1")
    after.send(b"2")
    world.give(after)
    assert world.texts == [b"1"], "what waited in the queue that is closed was handled"
    before.send(b"3")
    after.send(b"4")
    await eventually(lambda: len(world.seen) == 4)
    assert dict(world.seen) == {
        b"1": before.getsockname(),
        b"2": after.getsockname(),
        b"3": before.getsockname(),
        b"4": after.getsockname(),
    }
    assert world.own == (1, 0)
    world.give()
    assert world.own == (0, 0)


async def test_drops_of_a_closed_queue_stay_counted(world: World) -> None:
    ann = world.client()
    world.give(ann)
    for queue in world.port._own.values():
        queue.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(100):
        ann.send(bytes(1000))
    dropped = world.port.counts()["udp_kernel_drops_of_participants_total"]
    assert dropped > 50
    world.give()
    assert world.port.counts() == {
        "udp_kernel_drops_total": dropped,
        "udp_kernel_drops_of_participants_total": dropped,
    }


async def test_a_client_whose_port_was_closed_for_a_while_is_heard_again(world: World) -> None:
    ann = world.client()
    address = ann.getsockname()
    world.give(ann)
    ann.close()
    world.udp.send(b"to nobody", address)
    await asyncio.sleep(0)
    with socket.socket(socket.AF_INET6 if ":" in world.host else socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
        again.sendto(b"back", (world.host, world.port.number))
        await eventually(lambda: world.texts == [b"back"])


@pytest.mark.usefixtures("no_more_sockets")
async def test_without_sockets_a_participant_shares_the_queue_of_strangers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ann = world.client()
    for now in (0.0, 1.0, 4.9):
        world.give(ann, now=now)
    assert (world.counters.own_queues_failed, world.own) == (1, (0, 1))
    ann.send(b"media")
    await eventually(lambda: world.texts == [b"media"])


async def test_when_there_are_sockets_again_it_gets_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.client()
    monkeypatch.setattr(world.port, "_retry_at", 5.0)
    world.give(ann, now=4.9)
    assert world.own == (0, 1)
    world.give(ann, now=5.0)
    assert world.own == (1, 0)


async def test_there_is_a_bounded_number_of_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_port, "MOST_OWN_QUEUES", 2)
    world = World("127.0.0.1")
    world.port.open()
    clients = [world.client() for _ in range(3)]
    world.give(*clients)
    assert world.own == (2, 1)
    world.give(*clients[1:])
    assert world.own == (2, 0)
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    await eventually(lambda: sorted(world.texts) == [b"0", b"1", b"2"])
    world.close()


async def test_after_it_is_closed_nothing_is_left_to_take_back(world: World) -> None:
    ann = world.client()
    world.give(ann)
    world.port.close()
    world.give()
    assert world.own == (0, 0)
