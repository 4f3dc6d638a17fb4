"""Promises of the reception statistics and clocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.reports import Reception, RemoteClock, from_ntp, round_trip, to_ntp
from sfu.rtcp import ReportBlock, SenderReport

from .hostile import FEW, MANY, U32, U64

START = 1 << 16


def report_block(last_sr: int, delay: int) -> ReportBlock:
    return ReportBlock(1, 0, 0, 0, 0, last_sr, delay)


# ------------------------------------------------------------------------------------------------------------ clocks


def test_ntp_time_counts_from_1900() -> None:
    assert to_ntp(0) == 2_208_988_800 << 32
    assert to_ntp(0.5) == (2_208_988_800 << 32) + (1 << 31)
    assert from_ntp(2_208_988_800 << 32) == 0


@FEW
@given(st.floats(0, 2_000_000_000))
def test_ntp_time_and_back_is_the_same_within_a_microsecond(seconds: float) -> None:
    assert from_ntp(to_ntp(seconds)) == pytest.approx(seconds, abs=1e-6, rel=0)


def test_the_round_trip_is_that_of_rfc_3550_figure_2() -> None:
    # A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 0x0005:4000: 6.125 s there and back.
    assert round_trip(report_block(0xB7052000, 0x00054000), 0xB44DB710_80000000) == 6.125


def test_the_round_trip_is_right_when_the_middle_of_the_ntp_time_wraps() -> None:
    assert round_trip(report_block(0xFFFF8000, 0x4000), 0x1_0000_8000_0000) == pytest.approx(0.75)


@pytest.mark.parametrize(("last_sr", "delay"), [(0, 0), (0xB7112000, 0), (0xB7052000, 0x00100000), (1, 0)])
def test_there_is_no_round_trip_without_a_report_to_refer_to_or_from_made_up_numbers(last_sr: int, delay: int) -> None:
    assert round_trip(report_block(last_sr, delay), 0xB44DB710_80000000) is None


@MANY
@given(U32, U32, U64)
def test_a_round_trip_is_never_absurd(last_sr: int, delay: int, now: int) -> None:
    seconds = round_trip(report_block(last_sr, delay), now)
    assert seconds is None or 0 <= seconds < 60


def test_audio_and_video_of_a_publisher_keep_their_distance_however_late_the_reports_come() -> None:
    clock = RemoteClock()
    remote, ours = 1000.0, 50_000.0  # two clocks that know nothing of each other
    clock.to_local(to_ntp(remote), ours + 0.020)  # the fastest report comes first
    audio = clock.to_local(to_ntp(remote + 1.0), ours + 1.0 + 0.150)
    video = clock.to_local(to_ntp(remote + 1.3), ours + 1.3 + 0.030)
    assert video - audio == pytest.approx(0.3, abs=1e-5)


@FEW
@given(st.lists(st.floats(0, 1.9), min_size=1, max_size=20))
def test_the_least_delay_seen_is_taken_as_the_offset(delays: list[float]) -> None:
    clock = RemoteClock()
    for step, delay in enumerate(delays):
        local = clock.to_local(to_ntp(1000.0 + step), 70_000.0 + step + delay)
        assert local == pytest.approx(70_000.0 + step + min(delays[: step + 1]), abs=1e-5)


@pytest.mark.parametrize("change", [-3600.0, 3600.0])
def test_a_clock_that_was_set_anew_starts_over(change: float) -> None:
    clock = RemoteClock()
    clock.to_local(to_ntp(10_000.0), 50_000.0)
    assert clock.to_local(to_ntp(10_001.0 + change), 50_001.0) == pytest.approx(50_001.0, abs=1e-5)
    assert clock.to_local(to_ntp(10_002.0 + change), 50_002.0) == pytest.approx(50_002.0, abs=1e-5)


# -------------------------------------------------------------------------------------------------------- statistics


def test_there_is_no_report_before_the_first_packet() -> None:
    assert Reception(90000).block(1, 0.0) is None


def test_the_fraction_lost_is_that_of_the_interval_and_the_loss_that_of_all_time() -> None:
    reception = Reception(90000)
    for index in range(START, START + 10):
        if index - START not in (3, 7):
            reception.packet(index, 0, 0.0)
    block = reception.block(9, 0.0)
    assert block is not None
    assert (block.ssrc, block.packets_lost, block.fraction_lost) == (9, 2, 2 * 256 // 10)
    assert block.highest_sequence & 0xFFFF == 9
    for index in range(START + 10, START + 20):
        reception.packet(index, 0, 0.0)
    block = reception.block(9, 0.0)
    assert block is not None
    assert (block.packets_lost, block.fraction_lost) == (2, 0)


def test_duplicates_make_the_loss_negative_and_the_fraction_zero() -> None:
    reception = Reception(90000)
    for index in (START, START + 1, START + 1, START + 1):
        reception.packet(index, 0, 0.0)
    block = reception.block(9, 0.0)
    assert block is not None
    assert (block.packets_lost, block.fraction_lost) == (-2, 0)


def test_an_interval_in_which_nothing_came_but_the_last_packet_has_lost_nearly_all() -> None:
    reception = Reception(90000)
    reception.packet(START, 0, 0.0)
    reception.block(9, 0.0)
    reception.packet(START + 5000, 0, 0.0)
    block = reception.block(9, 0.0)
    assert block is not None
    assert block.fraction_lost == 255
    assert reception.block(9, 0.0) is not None  # nothing expected, nothing divided


def test_the_loss_is_clamped_to_what_24_bits_hold() -> None:
    reception = Reception(90000)
    reception.packet(START, 0, 0.0)
    reception.packet(START + (1 << 25), 0, 0.0)
    block = reception.block(9, 0.0)
    assert block is not None
    assert block.packets_lost == 0x7FFFFF


def test_packets_that_come_evenly_have_no_jitter() -> None:
    reception = Reception(48000)
    for step in range(100):
        reception.packet(START + step, 5 + 960 * step, 7.0 + 0.020 * step)
    assert reception.jitter == pytest.approx(0, abs=1e-9)


def test_the_jitter_is_the_sixteenth_of_rfc_3550_appendix_a_8() -> None:
    reception = Reception(48000)
    expected = 0.0
    arrivals = [0.0, 0.025, 0.040, 0.075, 0.080]
    for step, at in enumerate(arrivals):
        reception.packet(START + step, 960 * step, at)
        if step:
            expected += (abs(at - arrivals[step - 1] - 0.020) - expected) / 16
    assert reception.jitter == pytest.approx(expected)
    block = reception.block(9, 1.0)
    assert block is not None
    assert block.jitter == int(expected * 48000)


def test_a_timestamp_that_wraps_is_no_jitter() -> None:
    reception = Reception(90000)
    for step in range(20):
        reception.packet(START + step, (0xFFFFFFFF - 9000 + 3000 * step) & 0xFFFFFFFF, step / 30)
    assert reception.jitter < 0.001


def test_the_delay_since_the_last_sender_report_is_in_65536ths_of_a_second() -> None:
    reception = Reception(90000)
    reception.packet(START, 0, 1.0)
    reception.sender_report(SenderReport(1, 0xB44DB705_20000000, 0, 0, 0), 2.0)
    block = reception.block(9, 7.25)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0xB7052000, 0x00054000)


def test_without_a_sender_report_its_fields_are_zero() -> None:
    reception = Reception(90000)
    reception.packet(START, 0, 1.0)
    block = reception.block(9, 7.25)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0, 0)


@FEW
@given(st.lists(st.tuples(st.integers(0, 1 << 20), U32, st.floats(0, 100)), min_size=1, max_size=40))
def test_any_packets_give_a_block_that_fits_its_fields(packets: list[tuple[int, int, float]]) -> None:
    reception = Reception(8000)
    now = 0.0
    for index, timestamp, wait in packets:
        now += wait
        reception.packet(index, timestamp, now)
        block = reception.block(1, now)
        assert block is not None
        assert 0 <= block.fraction_lost <= 255
        assert -0x800000 <= block.packets_lost <= 0x7FFFFF
        assert 0 <= block.jitter < 1 << 32
