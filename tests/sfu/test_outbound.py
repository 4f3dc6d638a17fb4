"""The numbers and times of one slot, one by one, and what is sent again."""

from __future__ import annotations

import pytest

from sfu.codecs import VP8
from sfu.inbound import InboundTrack
from sfu.outbound import HeaderExtensions, OutboundStream, PayloadTypes

from .media import CM, KEY, Receiver, audio, track_of, video

# ------------------------------------------------------------------------------------------- numbers, one by one


def running(receiver: Receiver) -> InboundTrack:
    """A video that has begun in the receiver's slot with its packet 10."""
    track = track_of()
    track.attach(receiver.stream, 1000.0)
    track.receive(video(10, key=True), -1, -1, 1000.0)
    return track


def test_the_first_number_is_the_one_it_was_given_and_each_next_is_one_more() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.receive(video(11), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 501]


def test_a_lost_packet_leaves_its_number_free_and_takes_it_when_it_comes_late() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    for sequence in (13, 11, 12, 11):
        track.receive(video(sequence), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 503, 501, 502]


def test_a_packet_from_before_the_slot_was_a_tracks_own_is_not_sent_in_it() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.receive(video(9), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500]


def test_numbers_left_out_by_one_track_are_never_used_by_the_next() -> None:
    receiver = Receiver(first=500)
    track, other = running(receiver), track_of()
    track.receive(video(20), -1, -1, 1000.0)
    track.detach(receiver.stream, 1000.0)
    for sequence in (100, 106):
        other.receive(video(sequence), -1, -1, 1000.0)
    other.attach(receiver.stream, 1000.0)
    other.receive(video(107, key=True), -1, -1, 1000.0)
    other.receive(video(105), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 510, 511]


def test_time_goes_on_across_a_change_of_tracks_by_as_much_as_has_passed() -> None:
    receiver = Receiver()
    track, other = running(receiver), track_of()
    track.receive(video(11), -1, -1, 1000.5)
    track.receive(video(10), -1, -1, 1000.9)  # neither a duplicate nor silence moves the clock
    track.detach(receiver.stream, 1001.0)
    other.attach(receiver.stream, 1001.0)
    other.receive(video(900, key=True, timestamp=5), -1, -1, 1002.5)
    stamps = [packet.timestamp for packet in receiver.packets()]
    assert stamps == [30_000, 33_000, 33_000 + 2 * 90_000]


def test_a_late_packet_does_not_turn_the_clock_back() -> None:
    receiver = Receiver()
    track = running(receiver)
    track.receive(video(90), -1, -1, 1001.0)
    track.receive(video(11), -1, -1, 1001.0)
    track.hold(1001.0)
    track.receive(video(91, key=True), -1, -1, 1001.0)
    stamps = [packet.timestamp for packet in receiver.packets()]
    assert stamps == [30_000, 270_000, 33_000, 270_001]


def test_numbers_wrap_and_the_receiver_follows() -> None:
    receiver = Receiver(first=(1 << 15) - 1)
    track = running(receiver)
    for sequence in range(20, 80_000, 10):
        track.receive(video(sequence), -1, -1, 1000.0)
    packets = receiver.packets()  # decrypted by libsrtp
    assert len(packets) == 7999
    assert packets[-1].sequence == ((1 << 15) - 1 + 79_990 - 10) & 0xFFFF


def test_a_source_that_began_anew_cannot_make_a_receiver_lose_count() -> None:
    receiver = Receiver()
    track = running(receiver)
    for restart in range(60):
        track.receive(video(17_000 * restart, key=True), -1, -1, 1000.0 + restart)
    assert [packet.sequence for packet in receiver.packets()] == list(range(100, 160))


# ------------------------------------------------------------------------------------------- resending


def test_a_nack_is_answered_by_rtx_with_the_original_number_and_packet() -> None:
    receiver = Receiver(first=500)
    running(receiver)
    (sent,) = receiver.packets()
    assert receiver.stream.resend([500], 1001.0) == (1, 0)
    (repair,) = receiver.packets()
    assert (repair.ssrc, repair.payload_type, repair.sequence) == (1001, 97, 7)
    assert (repair.timestamp, repair.marker) == (sent.timestamp, sent.marker)
    assert repair.payload == (500).to_bytes(2, "big") + sent.payload


def test_a_nack_for_what_was_never_sent_or_is_forgotten_is_ignored() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    for sequence in range(11, 1500):
        track.receive(video(sequence), -1, -1, 1000.0)
    receiver.datagrams()
    assert receiver.stream.resend([499, 500, 501, 65_535, 20_000, 1990], 1001.0) == (0, 0)
    assert not receiver.queue


def test_without_rtx_nothing_is_sent_again() -> None:
    receiver = Receiver(codecs={VP8: PayloadTypes(96, None)})
    running(receiver)
    receiver.datagrams()
    assert receiver.stream.resend([100], 1001.0) == (0, 0)
    assert not receiver.queue


def test_asking_again_within_a_round_trip_is_refused() -> None:
    receiver = Receiver()
    running(receiver)
    receiver.stream.round_trip = 0.2
    assert [receiver.stream.resend([100], now) for now in (1001.0, 1001.1, 1001.17)] == [(1, 0), (0, 1), (1, 0)]


def test_resends_are_capped_whatever_is_asked_for() -> None:
    receiver = Receiver()
    track = running(receiver)
    for sequence in range(11, 900):
        track.receive(video(sequence, timestamp=30_000), -1, -1, 1000.0)
    receiver.datagrams()
    sent = sum(receiver.stream.resend(range(100, 990), 1001.0 + n / 100)[0] for n in range(101))
    assert 300 < sent <= 150 + 300
    assert len(receiver.datagrams()) == sent


def test_a_nack_after_a_change_of_tracks_gets_the_packet_that_was_sent_then() -> None:
    receiver = Receiver(first=500)
    track, other = running(receiver), track_of()
    track.detach(receiver.stream, 1000.0)
    other.attach(receiver.stream, 1000.0)
    other.receive(video(10, key=True, body=b"other"), -1, -1, 1000.0)
    receiver.datagrams()
    receiver.stream.resend([500, 501], 1001.0)
    assert [packet.payload[2:] for packet in receiver.packets()] == [KEY, KEY + b"other"]


def test_a_nack_after_a_restart_of_the_source_does_not_get_the_new_packet_of_that_number() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.restart(1000.0)
    track.receive(video(10, key=True, body=b"new"), -1, -1, 1000.0)
    receiver.datagrams()
    receiver.stream.resend([500, 501], 1001.0)
    assert [packet.payload[2:] for packet in receiver.packets()] == [KEY, KEY + b"new"]


def test_what_libsrtp_does_not_take_is_neither_sent_nor_counted_as_sent() -> None:
    receiver = Receiver(profile=CM)
    track = running(receiver)
    track.receive(video(11, body=bytes(1341)), -1, -1, 1000.0)  # fits, but with two bytes more for RTX it does not
    assert len(receiver.packets()) == 2
    track.receive(video(12, body=bytes(1400)), -1, -1, 1000.0)
    assert receiver.stream.resend([101, 102], 1001.0) == (0, 0)
    assert not receiver.queue


def test_a_stream_without_keys_says_so_instead_of_sending() -> None:
    stream = OutboundStream(1, 2, 3, 4)
    with pytest.raises(RuntimeError):
        stream.mark_dirty()


def test_audio_gets_its_level_under_the_receivers_id() -> None:
    extensions = HeaderExtensions(level=5, orientation=0)
    assert extensions.block(30, 1) == bytes.fromhex("bede0001 501e0000")
    assert extensions.block(-1, 1) == b""
    assert extensions.block(30, 1) is extensions.block(30, 1)


def test_an_audio_stream_is_numbered_like_any_other() -> None:
    receiver = Receiver(level=1)
    track = track_of("audio")
    track.attach(receiver.stream, 0.0)
    for sequence in range(65_530, 65_550):
        track.receive(audio(sequence), 40, -1, 0.0)
    packets = receiver.packets()
    assert [packet.sequence for packet in packets] == list(range(100, 120))
    assert {packet.extensions[1] for packet in packets} == {bytes([40])}


def test_no_jump_of_a_source_is_passed_on_that_would_hide_a_roll_over_behind_a_few_lost_packets() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    receiver.packets()
    for jump in range(1, 31):  # of these the receiver gets the last only
        receiver.datagrams()
        track.receive(video(10 + jump * 5000, key=True), -1, -1, 1000.0 + jump)
    assert len(receiver.packets()) == 1


def test_many_replays_leave_one_tick_after_another_and_in_order() -> None:
    receiver = Receiver()
    track = running(receiver)
    for sequence in range(11, 111):
        track.receive(video(sequence, timestamp=30_000, body=bytes(1200)), -1, -1, 1000.0)
    receiver.packets()
    asked = list(range(101, 141))
    sent, refused = receiver.stream.resend(asked, 1001.0)
    assert (0 < sent < 8, refused, receiver.stream.replaying) == (True, 0, True)
    now, bursts = 1001.0, [sent]
    while receiver.stream.replaying:
        now += 0.02
        bursts.append(receiver.stream.replay(now))
    assert max(bursts) == sent
    assert [int.from_bytes(packet.payload[:2], "big") for packet in receiver.packets()] == asked


def test_who_asks_for_what_is_long_past_gets_a_keyframe_instead() -> None:
    receiver = Receiver()
    track = running(receiver)
    for sequence in range(11, 60):  # 30 pictures per second
        track.receive(video(sequence), -1, -1, 1000.0)
    receiver.packets()
    assert receiver.stream.resend([101, 148], 1002.0) == (1, 1)
    assert receiver.stream.outrun
    assert [int.from_bytes(packet.payload[:2], "big") for packet in receiver.packets()] == [148]
    receiver.stream.resend([149], 1002.0)
    assert not receiver.stream.outrun
