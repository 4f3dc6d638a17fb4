"""A slow reader's pictures are dropped, its sound is not, and whatever it does no more than a bounded amount waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.framing import Deframer, framed_together
from sfu.write_queue import LATE_AFTER, MOST_BYTES, MOST_BYTES_OF_SMALL, SMALL_BYTES, WriteQueue

from .hostile import MANY

PICTURE, SOUND = b"p" * 1100, b"s" * 120


def drain(queue: WriteQueue, at_once: int = 1 << 20) -> bytes:
    written = b""
    while head := queue.head():
        written += head[:at_once]
        queue.wrote(min(at_once, len(head)))
    assert queue.size == 0
    return written


def frames(stream: bytes) -> list[bytes]:
    deframer = Deframer(0, 65535)
    deframer.feed(stream)
    found = []
    while (datagram := deframer.next()) is not None:
        found.append(datagram)
    return found


def test_what_waits_leaves_in_order_in_whatever_pieces() -> None:
    for at_once in (1, 7, 1101, 1 << 20):
        queue = WriteQueue()
        queue.add([PICTURE, SOUND, PICTURE], 0.0)
        assert drain(queue, at_once) == framed_together([PICTURE, SOUND, PICTURE])
        assert queue.head() == b""


def test_pictures_are_dropped_when_it_is_full_while_sound_goes_on() -> None:
    queue = WriteQueue()
    queue.add([PICTURE] * 1000, 0.0)
    kept = 1000 - queue.dropped_datagrams
    assert MOST_BYTES - len(PICTURE) < queue.size <= MOST_BYTES
    assert queue.dropped_bytes == queue.dropped_datagrams * len(PICTURE)
    queue.add([SOUND, PICTURE, SOUND], 0.0)
    assert queue.dropped_datagrams == 1000 - kept + 1
    assert frames(drain(queue)) == [PICTURE] * kept + [SOUND, SOUND]


def test_sound_has_a_bound_too() -> None:
    queue = WriteQueue()
    queue.add([SOUND] * 10_000, 0.0)
    assert queue.size <= MOST_BYTES_OF_SMALL + 2 * len(SOUND)
    assert queue.dropped_datagrams > 8000


def test_pictures_that_wait_for_too_long_are_thrown_away_and_sound_takes_their_place() -> None:
    queue = WriteQueue()
    queue.add([PICTURE, PICTURE, SOUND], 10.0)
    begun = queue.head()[:500]
    queue.wrote(500)
    queue.add([PICTURE, SOUND], 10.0 + LATE_AFTER)
    assert queue.dropped_datagrams == 0
    queue.add([PICTURE, SOUND], 10.1 + LATE_AFTER)
    assert (queue.dropped_datagrams, queue.dropped_bytes) == (2, 2 * len(PICTURE))
    queue.add([PICTURE], 10.2 + LATE_AFTER)
    assert queue.dropped_datagrams == 2, "from then on others may wait as long"
    assert frames(begun + drain(queue)) == [PICTURE, SOUND, SOUND, PICTURE, SOUND, PICTURE]


def test_after_it_was_empty_time_begins_anew() -> None:
    queue = WriteQueue()
    for now in range(10):
        queue.add([PICTURE, PICTURE], float(now))
        drain(queue)
    assert queue.dropped_datagrams == 0


@MANY
@given(st.lists(st.integers(1, 1400), max_size=20), st.data())
def test_what_the_kernel_took_in_part_is_finished_and_the_rest_follows(sizes: list[int], data: st.DataObject) -> None:
    datagrams = [bytes([number]) * size for number, size in enumerate(sizes)]
    stream = framed_together(datagrams)
    written = data.draw(st.integers(0, len(stream)))
    queue = WriteQueue()
    queue.add_rest(datagrams, written, 0.0)
    assert stream[:written] + drain(queue) == stream


@MANY
@given(st.lists(st.tuples(st.lists(st.integers(1, 1400), max_size=300), st.integers(0, 20_000)), max_size=12))
def test_whatever_is_dropped_the_receiver_finds_whole_datagrams_in_order(
    rounds: list[tuple[list[int], int]],
) -> None:
    queue, stream, number = WriteQueue(), b"", 0
    for now, (sizes, taken) in enumerate(rounds):
        batch = []
        for size in sizes:
            batch.append(number.to_bytes(3, "big") + bytes(size))
            number += 1
        queue.add(batch, float(now))
        head = queue.head()[:taken]
        stream += head
        queue.wrote(len(head))
        assert queue.size <= MOST_BYTES_OF_SMALL + SMALL_BYTES
    found = frames(stream + drain(queue))
    numbers = [int.from_bytes(datagram[:3], "big") for datagram in found]
    assert numbers == sorted(numbers)
    assert len(found) + queue.dropped_datagrams == number
