"""Nobody on TCP takes more than its share."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator

import pytest

from sfu import tcp_port
from sfu.framing import Deframer, framed
from sfu.tcp_port import BATCH
from sfu.write_queue import MOST_BYTES_OF_SMALL
from tests.support.waiting import eventually

from .tcp_world import HOSTS, MEDIA, World, opened


@pytest.fixture(params=HOSTS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    with opened(request.param) as made:
        yield made


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
