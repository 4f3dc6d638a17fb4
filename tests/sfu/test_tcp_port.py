"""The TCP port: only who shows at once that it belongs to a call is let in, and stays."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sfu import tcp_port
from sfu.addresses import LocalAddress
from sfu.framing import framed
from sfu.strangers import MOST_PER_ADDRESS, PATIENCE, Strangers
from sfu.tcp_port import SILENCE, TcpPort
from tests.support.waiting import eventually

from .tcp_world import CHECK, HOSTS, JUNK, MEDIA, World, is_closed, opened


@pytest.fixture(params=HOSTS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    with opened(request.param) as made:
        yield made


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
