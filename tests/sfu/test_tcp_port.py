"""The TCP port: only who shows at once that it belongs to a call stays, and nobody takes more than its share."""

from __future__ import annotations

import errno
import os
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from sfu import tcp_port
from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.framing import Deframer, framed
from sfu.strangers import MOST_PER_ADDRESS, PATIENCE, Strangers
from sfu.tcp import TcpConnection
from sfu.tcp_port import BATCH, SILENCE, TcpPort
from sfu.write_queue import MOST_BYTES_OF_SMALL
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

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


@pytest.fixture(params=["127.0.0.1", "::1"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(request.param)
    made.port.open()
    yield made
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


async def test_who_sends_a_check_first_is_heard_from_then_on(world: World) -> None:
    client, connection = await world.friend()
    client.sendall(framed(MEDIA) + framed(b"\x16dtls"))
    await eventually(lambda: world.seen == [CHECK, MEDIA, b"\x16dtls"])
    assert world.inside == (1, 0)
    assert connection.address == (world.host, client.getsockname()[1], "tcp")
    assert world.batches[-1] == 3
    assert world.refused == {}


async def test_datagrams_come_back_in_frames_those_of_one_flush_in_one_write(world: World) -> None:
    client, connection = await world.friend()
    connection.send(b"answer", connection.address)
    assert client.recv(100) == framed(b"answer")
    connection.send_queue([b"one", b"two", b"three"], connection.address)
    assert client.recv(100) == framed(b"one") + framed(b"two") + framed(b"three")
    assert (world.counters.packets_forwarded, world.counters.bytes_forwarded) == (3, 11)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (framed(JUNK), "no_authentic_check"),
        (framed(MEDIA), "no_authentic_check"),
        (framed(b"\x16\xfe\xfdhello"), "no_authentic_check"),
        (b"GET / HTTP/1.1\r\n\r\n", "no_frame"),
        (b"\x16\x03\x01\x02\x00\x01", "no_frame"),
        (b"\xff\xff" + bytes(100), "no_frame"),
        (b"\0\0", "no_frame"),
        (b"\0\1\0", "no_frame"),
    ],
)
async def test_who_sends_anything_else_first_is_disconnected_and_counted(
    world: World, sent: bytes, reason: str
) -> None:
    client = world.client()
    client.sendall(sent)
    await eventually(lambda: is_closed(client))
    assert world.inside == (0, 0)
    assert world.refused == {reason: 1}
    assert MEDIA not in world.seen, "strangers' media is not even looked at"


async def test_a_friend_that_sends_a_length_of_nothing_is_disconnected(world: World) -> None:
    client, connection = await world.friend()
    client.sendall(framed(MEDIA) + b"\xff\xff" + bytes(10))
    await eventually(lambda: is_closed(client))
    assert world.refused == {"no_frame": 1}
    assert world.ended == [connection]


async def test_a_first_frame_without_end_is_given_up_in_time(world: World) -> None:
    client, friend = world.client(), (await world.friend())[0]
    for piece in (b"\5", b"\xdc", b"a", b"b"):
        client.sendall(piece)
        await eventually(lambda: world.inside == (2, 1), every=0)
    world.clock.advance(PATIENCE)
    world.port.sweep(world.clock())
    assert not is_closed(client)
    world.clock.advance(0.1)
    world.port.sweep(world.clock())
    assert is_closed(client)
    assert world.refused == {"silent": 1}
    assert not is_closed(friend)


async def test_one_address_holds_only_so_many_unproven_connections_of_which_the_oldest_makes_room(world: World) -> None:
    clients = [world.client() for _ in range(MOST_PER_ADDRESS + 5)]
    await eventually(lambda: world.refused == {"too_many_of_address": 5})
    assert world.inside == (MOST_PER_ADDRESS, MOST_PER_ADDRESS)
    assert [is_closed(client) for client in clients] == [True] * 5 + [False] * MOST_PER_ADDRESS
    clients[5].sendall(framed(CHECK))
    await eventually(lambda: world.inside == (MOST_PER_ADDRESS, MOST_PER_ADDRESS - 1))
    await world.friend()


async def test_of_too_many_strangers_the_oldest_makes_room_and_friends_stay() -> None:
    world = World("127.0.0.1")
    world.port._strangers = Strangers(most=4)
    world.port.open()
    friend, _ = await world.friend()
    clients = [world.client() for _ in range(6)]
    await eventually(lambda: world.refused == {"too_many_strangers": 2})
    await eventually(lambda: [is_closed(client) for client in clients] == [True] * 2 + [False] * 4)
    assert not is_closed(friend)
    world.close()


async def test_there_is_a_bounded_number_of_connections_of_participants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "MOST_CONNECTIONS", 4)
    world = World("127.0.0.1")
    world.port.open()
    friends = [(await world.friend())[0] for _ in range(3)]
    late = world.client(CHECK)
    await eventually(lambda: is_closed(late))
    assert world.refused == {"too_many": 1}
    friends[0].close()
    await eventually(lambda: world.inside == (2, 0))
    await world.friend()
    world.close()


async def test_idle_connections_keep_no_newcomer_out_of_a_process_with_few_file_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    world = World("127.0.0.1")
    world.port.open()
    idle = [world.client(source=f"127.0.0.{2 + number % 20}") for number in range(300)]
    await eventually(lambda: world.counters.tcp_connections_accepted == len(idle))
    await world.friend()
    assert set(world.refused) == {"too_many_strangers"}
    assert world.inside[0] <= 1024 / 4
    world.close()


async def test_many_participants_leave_room_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "MOST_CONNECTIONS", 64)
    world = World("127.0.0.1")
    world.port.open()
    for _ in range(47):
        await world.friend()
    idle = [world.client(source="127.0.0.2") for _ in range(20)]
    await eventually(lambda: world.counters.tcp_connections_accepted == 47 + len(idle))
    await world.friend()
    assert world.refused == {"too_many_strangers": 5}
    world.close()


async def test_a_reader_that_stops_loses_pictures_and_costs_a_bounded_amount_of_memory(world: World) -> None:
    client, connection = await world.friend()
    other, other_connection = await world.friend()
    sent = 0
    while not world.counters.tcp_packets_dropped:
        connection.send_queue([b"\x80" + sent.to_bytes(4, "big") + bytes(1000)] * 16, connection.address)
        sent += 16
        assert sent * 1000 < 100_000_000, "the kernel takes no more than it has buffers"
    for _ in range(1000):
        connection.send_queue([bytes(1000)] * 16, connection.address)
    assert connection._outgoing.size <= MOST_BYTES_OF_SMALL
    assert world.counters.tcp_bytes_dropped > 15_000_000
    other_connection.send_queue([b"others"], other_connection.address)
    assert other.recv(100) == framed(b"others"), "nobody else waits for it"
    connection.send_queue([b"sound"], connection.address)

    deframer, found = Deframer(2, 1500), []
    client.setblocking(False)

    def reads_on() -> bool:
        try:
            deframer.feed(client.recv(1 << 20))
        except BlockingIOError:
            return False
        while (datagram := deframer.next()) is not None:
            found.append(datagram)
        return b"sound" in found

    await eventually(reads_on, every=0)
    assert not connection.waits
    assert found[-1] == b"sound", "its sound was kept, and all that came is in whole frames"


async def test_what_breaks_while_it_is_written_ends_quietly(world: World) -> None:
    client, connection = await world.friend()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    connection.send_queue([bytes(1000)] * 10, connection.address)
    connection.send(b"more", connection.address)
    await eventually(lambda: world.ended == [connection])
    connection.send(b"too late", connection.address)
    assert world.counters.send_failures == 1
    assert world.refused == {}


async def test_small_frames_are_handled_in_batches_between_which_others_have_their_turn(world: World) -> None:
    flood, other = (await world.friend())[0], (await world.friend())[0]
    world.batches.clear()
    before = len(world.seen)
    flood.sendall(framed(MEDIA) * 4 * BATCH)
    await eventually(lambda: len(world.seen) >= before + 1, every=0)
    other.sendall(framed(b"\x80other"))
    await eventually(lambda: len(world.seen) == before + 4 * BATCH + 1, every=0)
    sizes = [after - earlier for earlier, after in zip([before, *world.batches], world.batches, strict=False)]
    assert max(sizes) <= BATCH + 1
    assert world.seen.index(b"\x80other") < before + 4 * BATCH


async def test_who_sends_useless_frames_is_read_slowly(world: World) -> None:
    client, _ = await world.friend()
    began = time.monotonic()
    client.sendall(framed(b"\x80useless") * 10 * BATCH)
    await eventually(lambda: len(world.seen) == 1 + 10 * BATCH, every=0)
    assert time.monotonic() - began >= 9 * tcp_port.REST / 2, "the loop's timers are exact to a millisecond"


async def test_a_fault_that_a_frame_provokes_is_counted_and_the_next_is_handled(world: World) -> None:
    client, _ = await world.friend()
    client.sendall(framed(b"\x80fault") + framed(MEDIA))
    await eventually(lambda: MEDIA in world.seen)
    assert world.counters.media_internal_errors == 1
    assert world.inside == (1, 0)


async def test_silence_and_a_peer_that_is_gone_end_a_connection(world: World) -> None:
    (silent, _), (gone, connection), (alive, _) = [await world.friend() for _ in range(3)]
    world.clock.advance(SILENCE + 0.1)
    for client in (gone, alive):
        client.sendall(framed(MEDIA))
    await eventually(lambda: world.seen.count(MEDIA) == 2)
    world.forgotten.add(connection)
    world.port.sweep(world.clock())
    assert [is_closed(client) for client in (silent, gone, alive)] == [True, True, False]
    assert world.refused == {}


async def test_without_file_descriptors_the_listener_rests_and_then_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_port, "_ACCEPT_RETRY", 0.02)
    number, (listener, address) = next(iter(world.port._listeners.items()))

    class Full:
        tries = 0

        def accept(self) -> Any:
            self.tries += 1
            if self.tries < 3:
                raise OSError(errno.EMFILE, "too many open files")
            return listener.accept()

        def close(self) -> None:
            listener.close()

    full = Full()
    world.port._listeners[number] = full, address  # type: ignore[assignment]
    client = world.client(CHECK)
    await eventually(lambda: world.seen == [CHECK])
    assert world.refused == {"no_socket": 2}
    assert not is_closed(client)


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open(world: World) -> None:
    polls = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="in use"):
        TcpPort(
            [LocalAddress(world.host)],
            world.number,
            world.counters,
            world.handle,
            world.ended.append,
            bool,
            list,
            world.clock,
        )
    assert len(os.listdir("/proc/self/fd")) == polls


async def test_after_it_is_closed_nothing_is_connected_and_nobody_can(world: World) -> None:
    client, connection = await world.friend()
    world.port.close()
    world.port.close()
    assert is_closed(client)
    assert world.ended == [connection]
    assert world.inside == (0, 0)
    with pytest.raises(ConnectionRefusedError):
        world.client()


async def test_the_candidates_are_passive_ones_of_the_addresses_that_are_announced() -> None:
    world = World("127.0.0.1")
    number, (listener, _) = next(iter(world.port._listeners.items()))
    for address, announced in (
        (LocalAddress("127.0.0.1"), ("127.0.0.1", world.number)),
        (LocalAddress("127.0.0.1", "203.0.113.5"), ("203.0.113.5", world.number)),
        (LocalAddress("127.0.0.1", "203.0.113.5", 443), ("203.0.113.5", 443)),
    ):
        world.port._listeners[number] = listener, address
        (candidate,) = world.port.candidates()
        assert (candidate.address, candidate.port) == announced
        assert candidate.attribute().endswith(f"{announced[0]} {announced[1]} typ host tcptype passive")
    world.close()
