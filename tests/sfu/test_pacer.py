"""Replays leave evenly, in order, soon or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.pacer import Pacer

TICK = 0.020


def streaming(bits_per_second: int) -> Pacer[int]:
    """The pacer of a stream that has sent so much for a second, and that has been asked for nothing yet."""
    pacer: Pacer[int] = Pacer()
    pacer.measure(1000, 10.0)
    pacer.measure(1000 + bits_per_second // 8, 11.0)
    assert pacer.take(11.0) == []
    return pacer


def test_single_losses_are_repaired_at_once() -> None:
    pacer: Pacer[int] = Pacer()
    for number in range(4):
        assert pacer.put(number, 1200)
    assert pacer.take(1.0) == [0, 1, 2, 3]


def test_a_hundred_replays_take_about_two_thirds_of_the_time_that_the_stream_took_for_them() -> None:
    pacer = streaming(2_400_000)  # 250 packets of 1200 bytes per second
    assert all(pacer.put(number, 1200) for number in range(100))
    sent: list[int] = []
    now, most = 11.0, 0
    while pacer:
        taken = pacer.take(now)
        most = max(most, len(taken))
        sent += taken
        now += TICK
    assert sent == list(range(100))
    assert most <= 9
    assert 0.2 < now - 11.0 < 0.32


def test_what_would_come_too_late_is_refused() -> None:
    pacer = streaming(2_400_000)
    assert 180 < sum(pacer.put(number, 1200) for number in range(1000)) < 190


def test_a_stream_that_sends_next_to_nothing_is_repaired_all_the_same() -> None:
    pacer = streaming(8)
    assert all(pacer.put(number, 100) for number in range(100))
    sent = sum(len(pacer.take(11.0 + TICK * tick)) for tick in range(10))
    assert sent == 100 - len(pacer)
    assert sent > 60


def test_a_keyframe_alone_is_no_bitrate() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.measure(0, 10.0)
    pacer.measure(500_000, 10.1)
    assert not all(pacer.put(number, 1200) for number in range(100))


@given(sizes=st.lists(st.integers(1, 1500), max_size=60), waits=st.lists(st.floats(0, 0.2), max_size=60))
def test_nothing_is_lost_doubled_or_overtaken(sizes: list[int], waits: list[float]) -> None:
    pacer: Pacer[int] = Pacer()
    accepted = [number for number, size in enumerate(sizes) if pacer.put(number, size)]
    now, taken = 5.0, []
    for wait in [*waits, *[TICK] * 200]:
        now += wait
        taken += pacer.take(now)
    assert taken == accepted
    assert not pacer
