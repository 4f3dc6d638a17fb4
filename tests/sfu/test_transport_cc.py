"""Promises of the transport-wide feedback, checked with a decoder that was written from the draft alone."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport_cc import FeedbackRecorder, parse_statuses

from .hostile import FEW, MANY, U16, datagrams


@dataclass
class Decoder:
    """The sender's side: extends numbers and times, and knows the last verdict on every packet."""

    number: int  # a number near the first one, extended
    time: float  # a time near the first one
    verdicts: dict[int, float | None] = field(default_factory=dict)  # arrival in seconds, None: lost
    spans: list[tuple[int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def feed(self, body: bytes) -> None:
        """Take one message body (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1)."""
        assert len(body) % 4 == 0
        assert len(body) <= 1100
        base = self._near(int.from_bytes(body[0:2], "big"), self.number, 1 << 16)
        total = int.from_bytes(body[2:4], "big")
        assert total > 0
        ticks = self._near(int.from_bytes(body[4:7], "big"), int(self.time / 0.064), 1 << 24) * 256
        self.counts.append(body[7])
        bits = "".join(f"{byte:08b}" for byte in body[8:])
        at = 0
        symbols: list[int] = []
        while len(symbols) < total:
            chunk, at = bits[at : at + 16], at + 16
            assert len(chunk) == 16
            if chunk[0] == "0":
                run = int(chunk[3:], 2)
                assert 0 < run <= total - len(symbols)
                symbols += [int(chunk[1:3], 2)] * run
            elif chunk[1] == "0":
                symbols += [int(bit) for bit in chunk[2:]]
            else:
                symbols += [int(chunk[place : place + 2], 2) for place in range(2, 16, 2)]
        assert not any(symbols[total:])
        arrivals = 0
        for place, symbol in enumerate(symbols[:total]):
            assert symbol in (0, 1, 2)
            if symbol == 0:
                self.verdicts[base + place] = None
                continue
            size = 8 * symbol
            delta, at = int(bits[at : at + size], 2), at + size
            ticks += delta - (1 << 16 if symbol == 2 and delta >= 1 << 15 else 0)
            self.verdicts[base + place] = ticks / 4000
            arrivals += 1
        assert arrivals > 0
        assert set(bits[at:]) <= {"0"}
        assert len(bits) - at < 32
        self.spans.append((base, base + total))
        self.number = base + total
        self.time = ticks / 4000

    @staticmethod
    def _near(value: int, reference: int, modulus: int) -> int:
        return min(
            (value + (reference // modulus + cycle) * modulus for cycle in (-1, 0, 1)),
            key=lambda each: abs(each - reference),
        )


def decode(arrivals: Iterable[tuple[int, float]]) -> Decoder:
    """Report arrivals (extended number, time) in one go and decode the messages."""
    recorder = FeedbackRecorder()
    pairs = list(arrivals)
    for number, at in pairs:
        recorder.received(number & 0xFFFF, at)
    decoder = Decoder(*pairs[0])
    for body in recorder.messages():
        decoder.feed(body)
    assert not recorder.pending
    return decoder


def check(decoder: Decoder, arrivals: dict[int, float], first: int, end: int) -> None:
    """Each packet in the range was reported, with its time or as lost."""
    for number in range(first, end):
        verdict, truth = decoder.verdicts[number], arrivals.get(number)
        assert (verdict is None) == (truth is None), number
        if verdict is not None and truth is not None:
            assert abs(verdict - truth) < 0.000251


# ----------------------------------------------------------------------------------------------------- known bytes


def test_a_message_is_as_the_draft_draws_it() -> None:
    recorder = FeedbackRecorder()
    for number, at in ((10, 0.640), (11, 0.645), (13, 0.741), (12, 0.742)):
        recorder.received(number, at)
    (body,) = recorder.messages()
    # Base 10, 4 packets, reference 10 * 64 ms, count 0; small, small, large, large negative (a late packet).
    # 00 01 01 10 10: small, small, large (97 ms = 388 ticks), large (-1 ms = -4 ticks), two bits each.
    assert body.hex() == "000a0004" + "00000a00" + "d680" + "00" + "14" + "0184" + "fffc"


def test_a_long_run_takes_one_chunk() -> None:
    recorder = FeedbackRecorder()
    for number in range(20):
        recorder.received(number, 1.024)
    (body,) = recorder.messages()
    assert body == bytes.fromhex("00000014 00001000 2014") + bytes(20) + bytes(2)


# -------------------------------------------------------------------------------------------------------- promises


def test_nothing_received_is_nothing_pending() -> None:
    recorder = FeedbackRecorder()
    assert not recorder.pending
    assert list(recorder.messages()) == []


def test_messages_leave_nothing_pending_and_a_further_packet_does() -> None:
    recorder = FeedbackRecorder()
    recorder.received(0, 1.0)
    assert recorder.pending
    assert len(list(recorder.messages())) == 1
    assert not recorder.pending
    assert list(recorder.messages()) == []
    recorder.received(1, 1.1)
    assert recorder.pending


def test_the_next_message_begins_where_the_last_one_ended_even_if_that_packet_was_lost() -> None:
    recorder = FeedbackRecorder()
    decoder = Decoder(0, 5.0)
    for numbers in ((0, 1, 2), (4, 5), (9,)):
        for number in numbers:
            recorder.received(number, 5.0)
        for body in recorder.messages():
            decoder.feed(body)
    assert decoder.spans == [(0, 3), (3, 6), (6, 10)]
    assert [number for number, at in decoder.verdicts.items() if at is None] == [3, 6, 7, 8]


def test_a_late_packet_that_was_reported_lost_is_reported_again() -> None:
    recorder = FeedbackRecorder()
    decoder = Decoder(0, 5.0)
    for batch in ([(0, 5.0), (2, 5.01)], [(3, 5.1), (1, 5.11)]):
        for number, at in batch:
            recorder.received(number, at)
        for body in recorder.messages():
            decoder.feed(body)
    check(decoder, {0: 5.0, 2: 5.01, 3: 5.1, 1: 5.11}, 0, 4)
    assert decoder.spans == [(0, 3), (1, 4)]


def test_a_duplicate_changes_nothing() -> None:
    recorder = FeedbackRecorder()
    recorder.received(7, 1.0)
    list(recorder.messages())
    recorder.received(7, 2.0)
    assert not recorder.pending


def test_the_feedback_count_goes_up_by_one_and_wraps() -> None:
    recorder = FeedbackRecorder()
    decoder = Decoder(0, 1.0)
    for number in range(300):
        recorder.received(number, 1.0 + number / 100)
        for body in recorder.messages():
            decoder.feed(body)
    assert decoder.counts == [number & 0xFF for number in range(300)]


def test_many_packets_are_split_into_messages_that_fit_into_datagrams() -> None:
    # Each delta is a large one, which is the longest that a message can be.
    arrivals = {number: 100 + number * 0.1 for number in range(1000)}
    decoder = decode(arrivals.items())
    check(decoder, arrivals, 0, 1000)
    assert len(decoder.spans) == 3
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(decoder.spans))


def test_packets_eight_seconds_apart_are_reported_as_arrived() -> None:
    arrivals = {0: 50.0, 1: 70.0, 3: 70.001, 4: 78.19, 5: 86.39}
    decoder = decode(arrivals.items())
    check(decoder, arrivals, 0, 6)


def test_the_sequence_number_wraps() -> None:
    arrivals = {number: number / 1000 for number in range(65000, 66000) if number % 7}
    check(decode(arrivals.items()), arrivals, 65000, 66000)


@pytest.mark.parametrize("bits", [23, 24], ids=["the sign", "the field"])
def test_the_reference_time_wraps(bits: int) -> None:
    wrap = (1 << bits) * 0.064
    arrivals = {number: wrap - 1 + number / 100 for number in range(200)}
    recorder, decoder = FeedbackRecorder(), Decoder(0, wrap - 1)
    for number, at in arrivals.items():
        recorder.received(number, at)
        if number % 10 == 9:
            for body in recorder.messages():
                decoder.feed(body)
    check(decoder, arrivals, 0, 200)


def test_a_gap_of_many_packets_is_reported_in_one_message() -> None:
    arrivals = {0: 1.0, 1: 1.01, 390: 1.2, 391: 1.21}
    check(decode(arrivals.items()), arrivals, 0, 392)


def test_after_a_gap_that_no_message_could_tell_the_nearest_losses_are_told() -> None:
    recorder, decoder = FeedbackRecorder(), Decoder(0, 1.0)
    for number in (0, 1000):
        recorder.received(number, 1.0)
        for body in recorder.messages():
            decoder.feed(body)
    assert decoder.spans == [(0, 1), (601, 1001)]
    assert decoder.verdicts[1000] is not None


@pytest.mark.parametrize("jump", [2000, 30000, -2000, -30000])
def test_after_a_jump_the_numbering_starts_anew(jump: int) -> None:
    recorder, decoder = FeedbackRecorder(), Decoder(0, 1.0)
    arrivals = dict.fromkeys((0, 1, 2, jump, jump + 1), 1.0)
    for number, at in arrivals.items():
        recorder.received(number & 0xFFFF, at)
        for body in recorder.messages():
            decoder.feed(body)
    check(decoder, arrivals, jump, jump + 2)
    assert len(decoder.verdicts) == 5


@st.composite
def journeys(draw: st.DrawFn) -> list[list[tuple[int, float]]]:
    """Batches of arrivals (extended number, time): with loss, reordering, pauses, and wraps of all counters."""
    number = draw(st.sampled_from([1 << 16, (1 << 16) + 65500, (1 << 17) - 20]))
    clock = draw(st.sampled_from([0.5, 1000.1, (1 << 24) * 0.064 - 0.2, (1 << 23) * 0.064 - 0.2]))
    sent: list[int] = []
    steps = st.sampled_from([1, 1, 1, 1, 1, 2, 3, 9, 60])
    for step in draw(st.lists(steps, min_size=1, max_size=60)):
        number += step
        sent.append(number)
    for place in draw(st.lists(st.integers(0, len(sent) - 1), max_size=6)):  # a few come later than they were sent
        sent.insert(min(place + 4, len(sent) - 1), sent.pop(place))
    batches: list[list[tuple[int, float]]] = [[]]
    pauses = st.sampled_from([0.0, 0.0001, 0.00025, 0.003, 0.0637, 0.064, 0.1, 8.19, 8.192, 20.0])
    for each in sent:
        clock += draw(pauses)
        batches[-1].append((each, clock))
        if draw(st.integers(0, 5)) == 0:
            batches.append([])
    return [batch for batch in batches if batch]


@FEW
@given(journeys())
def test_every_arrival_and_every_loss_is_told_within_a_quarter_millisecond(
    batches: list[list[tuple[int, float]]],
) -> None:
    recorder, decoder = FeedbackRecorder(), Decoder(*batches[0][0])
    arrived: dict[int, float] = {}
    covered: int | None = None
    for batch in batches:
        for number, at in batch:
            recorder.received(number & 0xFFFF, at)
            arrived[number] = at
        assert recorder.pending
        known = len(decoder.spans)
        for body in recorder.messages():
            decoder.feed(body)
        assert not recorder.pending
        for base, end in decoder.spans[known:]:
            assert covered is None or base <= covered  # nothing is left out in between
            covered = end
    check(decoder, arrived, min(arrived), max(arrived) + 1)
    assert set(decoder.verdicts) == set(range(min(arrived), max(arrived) + 1))
    assert decoder.counts == [number & 0xFF for number in range(len(decoder.counts))]


def test_many_jumps_back_end_in_messages_that_end() -> None:
    recorder = FeedbackRecorder()
    for step in range(20):
        recorder.received(-step * 30000 & 0xFFFF, step / 10)
        (body,) = itertools.islice(recorder.messages(), 3)
        assert parse_statuses(body) == (-step * 30000 & 0xFFFF, [True])


@MANY
@given(st.lists(st.one_of(U16, st.integers(0, 30)), max_size=60), st.integers(1, 20))
def test_any_numbers_at_all_end_in_messages_that_end(numbers: list[int], interval: int) -> None:
    recorder = FeedbackRecorder()
    for step, number in enumerate(numbers):
        recorder.received(number, step / 10)
        if step % interval == 0:
            for body in itertools.islice(recorder.messages(), 10):
                parse_statuses(body)
            assert not recorder.pending


def test_memory_is_bounded_however_the_numbers_jump() -> None:
    recorder = FeedbackRecorder()
    for step in range(20000):
        recorder.received(step * 3 & 0xFFFF, step / 1000)
        if step % 100 == 99:
            list(recorder.messages())
    assert len(recorder._arrivals) <= 2200


# --------------------------------------------------------------------------------------------------------- parsing


def test_one_bit_vectors_run_lengths_and_two_bit_vectors_are_read() -> None:
    body = bytes.fromhex("ffff0017 00000000") + bytes.fromhex("a001") + bytes.fromhex("2002") + bytes.fromhex("e001")
    base, statuses = parse_statuses(body)
    assert base == 0xFFFF
    fourteen = [True] + [False] * 12 + [True]
    assert statuses == [*fourteen, True, True, True, False, False, False, False, False, True]


@pytest.mark.parametrize("body", ["", "0001000100000000"[:14], "0001000100000000", "0001000800000000c000"])
def test_a_short_body_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match="body"):
        parse_statuses(bytes.fromhex(body))


def _real_bodies() -> list[bytes]:
    recorder = FeedbackRecorder()
    for number in (*range(10), 12, 15, *range(40, 60)):
        recorder.received(number, number / 50)
    return list(recorder.messages())


@MANY
@given(datagrams(_real_bodies()))
def test_any_body_is_parsed_or_a_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        _, statuses = parse_statuses(body)
        assert len(statuses) == int.from_bytes(body[2:4], "big")


@MANY
@given(st.sets(st.integers(0, 300), min_size=1), U16)
def test_our_statuses_are_read_back(arrived: set[int], start: int) -> None:
    recorder = FeedbackRecorder()
    for number in sorted(arrived):
        recorder.received((start + number) & 0xFFFF, number / 100)
    (body,) = recorder.messages()
    base, statuses = parse_statuses(body)
    assert base == (start + min(arrived)) & 0xFFFF
    assert {min(arrived) + place for place, status in enumerate(statuses) if status} == arrived
