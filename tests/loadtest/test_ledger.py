"""The ledger counts each packet once, knows what is missing, and is not led astray by what it does not expect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.ledger import Ledger, SlotLedger
from loadtest.tags import tag
from sfu.rtp import Packet, pack

SSRC, RTX = 1000, 2000
TRACK = 77
KEYFRAME, DELTA = b"\x90\x80\x80\x01\x10", b"\x90\x80\x80\x01\x11"


def ledger_with(kind: str = "video") -> tuple[Ledger, SlotLedger]:
    ledger = Ledger()
    slot = SlotLedger("v0", "video", SSRC, RTX) if kind == "video" else SlotLedger("a0", "audio", SSRC, None)
    ledger.map({slot.mid: "t1"}, 9.0)
    ledger.add(slot, 10.0)
    return ledger, slot


def packet(sequence: int, counter: int, head: bytes = DELTA) -> bytes:
    return pack(Packet(0, 96, sequence & 0xFFFF, 0, SSRC, {}, head + tag(TRACK, counter)))


def repair(sequence: int, counter: int) -> bytes:
    original = (sequence & 0xFFFF).to_bytes(2, "big")
    return pack(Packet(0, 97, 5, 0, RTX, {}, original + DELTA + tag(TRACK, counter)))


def arrivals(ledger: Ledger, count: int) -> list[int]:
    return list(ledger.deliveries.arrivals[TRACK][:count])


def test_each_tagged_packet_is_counted_under_its_own_number() -> None:
    ledger, slot = ledger_with()
    for n in range(5):
        ledger.receive(packet(65534 + n, n), 10.0)
    assert arrivals(ledger, 6) == [1, 1, 1, 1, 1, 0]
    assert (slot.packets, slot.lost, slot.duplicates) == (5, 0, 0)
    assert ledger.deliveries.carried == {("t1", TRACK): 5}


def test_a_missing_packet_is_asked_for_after_a_moment_and_again_until_it_comes_by_rtx() -> None:
    ledger, slot = ledger_with()
    ledger.receive(packet(65535, 0), 10.0)
    ledger.receive(packet(2, 3), 10.0)
    assert list(ledger.nacks(10.005)) == []
    assert list(ledger.nacks(10.02)) == [(SSRC, [0, 1])]
    assert list(ledger.nacks(10.05)) == []
    ledger.receive(repair(0, 1), 10.06)
    assert list(ledger.nacks(10.13)) == [(SSRC, [1])]
    ledger.receive(repair(1, 2), 10.2)
    assert list(ledger.nacks(10.4)) == []
    assert (slot.lost, slot.repaired, slot.duplicates) == (0, 2, 0)
    assert arrivals(ledger, 4) == [1, 1, 1, 1]


def test_a_packet_that_never_comes_is_given_up() -> None:
    ledger, slot = ledger_with()
    ledger.receive(packet(1, 0), 10.0)
    ledger.receive(packet(3, 2), 10.0)
    asked = [list(ledger.nacks(11.0 + second)) for second in range(12)]
    assert asked == [[(SSRC, [2])]] * 10 + [[]] * 2
    assert slot.lost == 1


def test_a_late_packet_is_reordered_and_a_second_copy_a_duplicate() -> None:
    ledger, slot = ledger_with()
    for sequence in (1, 3, 2, 2):
        ledger.receive(packet(sequence, sequence), 10.0)
    assert (slot.packets, slot.reordered, slot.duplicates, slot.lost) == (3, 1, 1, 0)
    assert arrivals(ledger, 4) == [0, 1, 2, 1]


def test_audio_is_not_asked_for_again() -> None:
    ledger, slot = ledger_with("audio")
    ledger.receive(packet(1, 0), 10.0)
    ledger.receive(packet(5, 4), 10.0)
    assert list(ledger.nacks(20.0)) == []
    assert slot.lost == 3


def test_a_video_plays_from_its_first_keyframe_on_and_anew_with_each_track() -> None:
    ledger, slot = ledger_with()
    ledger.receive(packet(1, 0), 10.1)
    assert not slot.has_started
    ledger.receive(packet(2, 1, KEYFRAME), 10.25)
    assert slot.has_started
    assert slot.first_keyframe == 0.25
    ledger.map({"v0": "t2"}, 11.0)
    assert not slot.has_started


def test_a_keyframe_is_asked_for_once_a_second_while_there_is_none() -> None:
    ledger, slot = ledger_with()
    assert [slot.needs_keyframe(10.0 + tenth / 10) for tenth in range(25)].count(True) == 2
    ledger.receive(packet(1, 0, KEYFRAME), 13.0)
    assert not slot.needs_keyframe(20.0)


def test_an_empty_slot_needs_no_keyframe() -> None:
    slot = SlotLedger("v0", "video", SSRC, RTX)
    assert not slot.needs_keyframe(100.0)


def test_a_report_block_tells_what_was_lost_since_the_last_one() -> None:
    ledger, slot = ledger_with()
    assert slot.block(10.0) is None
    for sequence in (1, 2, 3, 5):
        ledger.receive(packet(sequence, sequence), 10.0)
    ledger.sender_report(SSRC, 0x0102030405060708, 10.0)
    first = slot.block(10.5)
    assert first is not None
    assert (first.packets_lost, first.fraction_lost) == (1, 256 // 5)
    assert (first.last_sr, first.delay_since_last_sr) == (0x03040506, 32768)
    second = slot.block(11.0)
    assert second is not None
    assert (second.packets_lost, second.fraction_lost) == (1, 0)


def test_media_that_overtakes_its_answer_is_early_and_later_unknown() -> None:
    ledger = Ledger()
    ledger.receive(packet(1, 0), 10.0)
    ledger.settle()
    assert (ledger.early, ledger.unknown) == (1, 0)
    ledger.receive(packet(2, 1), 10.0)
    assert (ledger.early, ledger.unknown) == (1, 1)


def test_a_section_that_is_answered_again_keeps_its_account() -> None:
    ledger, slot = ledger_with()
    ledger.receive(packet(1, 0), 10.0)
    ledger.add(SlotLedger("v0", "video", SSRC, RTX), 11.0)
    assert ledger.slots["v0"] is slot


def test_an_absurd_counter_takes_no_memory() -> None:
    ledger, _ = ledger_with()
    ledger.receive(packet(1, 0xFFFFFFFF), 10.0)
    assert ledger.deliveries.arrivals[TRACK] == b""


def test_a_sample_is_looked_into_but_not_accounted_for() -> None:
    ledger, slot = ledger_with()
    ledger.sample(packet(1, 0), 10.0)
    ledger.sample(packet(500, 499), 10.0)
    ledger.sample(pack(Packet(0, 96, 1, 0, 9, {}, b"other")), 10.0)
    assert (ledger.sampled, ledger.unknown, slot.lost) == (2, 1, 0)


@given(st.lists(st.binary(max_size=64) | st.builds(packet, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))))
def test_no_packet_breaks_it(packets: list[bytes]) -> None:
    ledger, slot = ledger_with()
    for data in packets:
        ledger.receive(data, 10.0)
        ledger.sample(data, 10.0)
    assert slot.packets + slot.duplicates <= len(packets)
    assert slot.lost >= 0


@given(st.lists(st.integers(0, 300), min_size=1), st.integers(0, 0xFFFF))
def test_received_duplicate_and_lost_add_up_in_any_order(steps: list[int], offset: int) -> None:
    ledger, slot = ledger_with()
    ledger.receive(packet(offset, 0), 10.0)
    for step in steps:
        ledger.receive(packet(offset + step, step), 10.0)
    distinct = {0, *steps}
    assert slot.packets == len(distinct)
    assert slot.duplicates == len(steps) + 1 - len(distinct)
    assert slot.lost == max(distinct) + 1 - len(distinct)
