"""A track starts its receivers where a decoder can start, gives each what it negotiated, and repeats nothing."""

from __future__ import annotations

import pytest

from sfu import inbound
from sfu.codecs import OPUS, VP8
from sfu.inbound import InboundTrack
from sfu.outbound import PayloadTypes

from .media import CM, KEY, VP9, Receiver, audio, track_of, video


def counted(track: InboundTrack) -> list[float]:
    """Grows by one with each keyframe that the source is asked for."""
    asked: list[float] = []
    track.ask_keyframe = lambda: asked.append(1.0)
    return asked


def numbers(receiver: Receiver) -> list[int]:
    return [packet.timestamp // 3000 for packet in receiver.packets()]


def test_video_starts_with_a_keyframe_and_asks_for_one() -> None:
    track, receiver = track_of(), Receiver()
    asked = counted(track)
    track.attach(receiver.stream, 1.0)
    assert len(asked) == 1
    for sequence in (5, 6):
        assert track.receive(video(sequence), -1, -1, 1.0)
    assert not receiver.queue
    for sequence in (7, 8):
        track.receive(video(sequence, key=sequence == 7), -1, -1, 1.0)
    assert numbers(receiver) == [7, 8]


def test_audio_starts_at_once_and_asks_for_nothing() -> None:
    track, receiver = track_of("audio"), Receiver()
    asked = counted(track)
    track.attach(receiver.stream, 1.0)
    track.receive(audio(5), -1, -1, 1.0)
    assert (len(receiver.packets()), asked) == (1, [])


def test_a_duplicate_is_dropped() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    assert [track.receive(video(5, key=True), -1, -1, 1.0) for _ in range(3)] == [True, False, False]
    assert numbers(receiver) == [5]


def test_a_late_packet_is_forwarded_once_under_its_own_number() -> None:
    track, receiver = track_of(), Receiver(first=100)
    track.attach(receiver.stream, 1.0)
    for sequence, fresh in ((5, True), (7, True), (6, True), (6, False)):
        assert track.receive(video(sequence, key=sequence == 5), -1, -1, 1.0) is fresh
    assert [(packet.sequence, packet.timestamp // 3000) for packet in receiver.packets()] == [
        (100, 5),
        (102, 7),
        (101, 6),
    ]


def test_a_keyframe_that_comes_late_starts_nobody_and_is_asked_for_again() -> None:
    track, receiver = track_of(), Receiver()
    asked = counted(track)
    track.receive(video(4), -1, -1, 0.0)
    track.attach(receiver.stream, 1.0)
    track.receive(video(6), -1, -1, 1.0)
    track.receive(video(5, key=True), -1, -1, 1.1, repaired=True)
    assert not receiver.queue
    track.retry_keyframe(2.1)
    assert len(asked) == 2


def test_a_lost_packet_is_noticed_and_a_late_one_is_no_longer_missing() -> None:
    track = track_of()
    for sequence in (1, 4):
        track.receive(video(sequence), -1, -1, 1.0)
    track.receive(video(2), -1, -1, 1.0)
    assert track.loss.due(1.5) == [3]


def test_too_many_lost_packets_are_answered_by_asking_for_a_keyframe() -> None:
    track = track_of()
    asked = counted(track)
    track.receive(video(1, key=True), -1, -1, 1.0)
    track.receive(video(900), -1, -1, 1.0)
    assert (len(asked), bool(track.loss)) == (1, False)


def test_muting_stops_and_unmuting_starts_with_a_keyframe_that_is_asked_for() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, -1, 1.0)
    asked = counted(track)
    track.mute(True, 2.0)
    track.receive(video(2), -1, -1, 2.0)
    track.receive(video(3, key=True), -1, -1, 2.0)
    assert (numbers(receiver), asked) == ([1], [])
    track.mute(False, 3.0)
    assert len(asked) == 1
    track.receive(video(4), -1, -1, 3.0)
    track.receive(video(5, key=True), -1, -1, 3.0)
    assert [packet.sequence for packet in receiver.packets()] == [101]


def test_muting_twice_changes_nothing() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, -1, 1.0)
    track.mute(False, 1.0)
    track.receive(video(2), -1, -1, 1.0)
    assert numbers(receiver) == [1, 2]


def test_nobody_who_is_muted_is_asked_for_keyframes() -> None:
    track = track_of()
    track.mute(True, 0.0)
    asked = counted(track)
    track.attach(Receiver().stream, 1.0)
    track.retry_keyframe(5.0)
    assert asked == []


def test_another_codec_starts_with_its_keyframe_under_its_payload_type() -> None:
    track = track_of()
    receiver = Receiver(codecs={VP8: PayloadTypes(96, 97), VP9: PayloadTypes(98, 99)})
    track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, -1, 1.0)
    track.set_codec(VP9, 1.0)
    track.receive(video(2)._replace(payload=b"\x40"), -1, -1, 1.0)
    track.receive(video(3)._replace(payload=b"\x08\x00"), -1, -1, 1.0)
    assert [(packet.payload_type, packet.sequence) for packet in receiver.packets()] == [(96, 100), (98, 101)]


def test_who_cannot_play_the_new_codec_gets_the_old_one_again_when_it_comes_back() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, -1, 1.0)
    track.set_codec(VP9, 1.0)
    track.receive(video(2)._replace(payload=b"\x08\x00"), -1, -1, 1.0)
    track.set_codec(VP8, 2.0)
    track.receive(video(3, key=True), -1, -1, 2.0)
    assert [(packet.payload_type, packet.sequence) for packet in receiver.packets()] == [(96, 100), (96, 101)]


def test_each_receiver_gets_the_header_that_it_negotiated() -> None:
    track = track_of("audio")
    receivers = [
        Receiver(1000, codecs={OPUS: PayloadTypes(111, None)}, level=1),
        Receiver(2000, codecs={OPUS: PayloadTypes(109, None)}, level=1),
        Receiver(3000, codecs={OPUS: PayloadTypes(111, None)}, level=14),
        Receiver(4000, codecs={OPUS: PayloadTypes(111, None)}, level=0),
        Receiver(5000, codecs={OPUS: PayloadTypes(111, None)}, level=1, profile=CM),
    ]
    for receiver in receivers:
        track.attach(receiver.stream, 1.0)
    track.receive(audio(1), 0x85, -1, 1.0)
    found = [receiver.packets()[0] for receiver in receivers]
    assert [packet.payload_type for packet in found] == [111, 109, 111, 111, 111]
    assert [packet.extensions for packet in found] == [{1: b"\x85"}, {1: b"\x85"}, {14: b"\x85"}, {}, {1: b"\x85"}]
    assert [packet.ssrc for packet in found] == [1000, 2000, 3000, 4000, 5000]
    assert {packet.payload for packet in found} == {b"opus"}


def test_a_camera_that_is_turned_tells_so() -> None:
    track, receiver = track_of(), Receiver(orientation=4)
    track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, 1, 1.0)
    assert receiver.packets()[0].extensions == {4: b"\x01"}


@pytest.mark.parametrize("size", [1, 1300])
def test_receivers_without_gcm_are_served_by_libsrtp(size: int) -> None:
    track, receiver = track_of(), Receiver(profile=CM)
    track.attach(receiver.stream, 1.0)
    for sequence in range(5, 25):
        track.receive(video(sequence, key=sequence == 5, body=bytes(size)), -1, -1, 1.0)
    packets = receiver.packets()
    assert [packet.sequence for packet in packets] == list(range(100, 120))
    assert packets[0].payload == KEY + bytes(size)


def test_what_one_receivers_srtp_refuses_still_reaches_the_others() -> None:
    track, small, large = track_of(), Receiver(1000, profile=CM), Receiver(2000)
    for receiver in (small, large):
        track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True, body=bytes(1400)), -1, -1, 1.0)
    track.receive(video(2), -1, -1, 1.0)
    assert ([packet.sequence for packet in small.packets()], len(large.packets())) == ([101], 2)


def test_a_detached_receiver_gets_nothing_and_the_others_go_on() -> None:
    track, one, other = track_of(), Receiver(1000), Receiver(2000)
    for receiver in (one, other):
        track.attach(receiver.stream, 1.0)
    track.receive(video(1, key=True), -1, -1, 1.0)
    track.detach(one.stream, 1.0)
    track.detach(one.stream, 1.0)  # once more is nothing
    track.receive(video(2), -1, -1, 1.0)
    assert (numbers(one), numbers(other)) == ([1], [1, 2])
    assert one.stream.track is None
    track.detach(other.stream, 1.0)
    assert (track._groups, track._running, track._waiting) == ({}, {}, {})


def test_a_restarted_source_starts_its_receivers_with_its_first_keyframe() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    track.receive(video(60_000, key=True), -1, -1, 1.0)
    track.receive(video(40_000), -1, -1, 1.0)
    track.receive(video(20_000, key=True), -1, -1, 1.0)
    assert [packet.sequence for packet in receiver.packets()] == [100, 101]


def test_a_repaired_packet_from_far_away_does_not_restart_the_track() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    track.receive(video(10_000, key=True), -1, -1, 1.0)
    assert not track.receive(video(1000), -1, -1, 1.0, repaired=True)
    assert track.receive(video(10_001), -1, -1, 1.0)
    assert numbers(receiver) == [10_000, 10_001]


def test_a_receiver_is_marked_for_flushing_once_per_batch() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    for sequence in range(5, 9):
        track.receive(video(sequence, key=sequence == 5), -1, -1, 1.0)
    assert receiver.dirty == 1
    receiver.packets()
    track.receive(video(9), -1, -1, 1.0)
    assert receiver.dirty == 2


def test_what_is_sent_is_counted_for_the_reports() -> None:
    track, receiver = track_of(), Receiver()
    track.attach(receiver.stream, 1.0)
    for sequence in range(5, 8):
        track.receive(video(sequence, key=sequence == 5, body=bytes(98)), -1, -1, 1.0)
    assert (receiver.stream.packets, receiver.stream.octets) == (3, 300)


def test_keyframe_requests_of_many_receivers_are_merged_to_two_a_second() -> None:
    track = track_of()
    asked = counted(track)
    for step in range(1000):  # ten seconds, with a keyframe for each request
        now = 1.0 + step / 100
        before = len(asked)
        for _ in range(10):
            track.want_keyframe(now)
        track.retry_keyframe(now)
        track.receive(video(step, key=len(asked) > before), -1, -1, now)
    assert 15 <= len(asked) <= 20


def test_the_track_keeps_no_more_than_its_ring() -> None:
    assert all(size & (size - 1) == 0 for size in inbound._RING.values())


@pytest.mark.parametrize(("silence", "lost", "repairs"), [(2.0, 60, False), (2.0, 5, True), (0.1, 60, True)])
def test_after_an_outage_a_track_begins_anew_instead_of_repairing_the_past(
    silence: float, lost: int, repairs: bool
) -> None:
    track, asked = track_of(), []
    track.ask_keyframe = lambda: asked.append(1)
    track.receive(video(1, key=True), -1, -1, 1000.0)
    track.receive(video(2 + lost), -1, -1, 1000.0 + silence)
    assert (bool(track.loss), bool(asked)) == (repairs, not repairs)


def test_silence_that_is_not_sent_is_neither_loss_nor_speech() -> None:
    track = track_of("audio")
    now = 1000.0
    for sequence in range(1, 51):
        track.receive(audio(sequence), 10, -1, now)
        now += 0.02
    spoke = track.meter.tick()
    track.reception.block(1, now)
    quiet = []
    for step in range(5):  # comfort noise each 0.4 s: the clock of the samples goes on, the numbers have no gap
        now += 0.4
        packet = audio(51 + step)._replace(timestamp=960 * 50 + 19200 * (step + 1))
        assert track.receive(packet, 127, -1, now)
        quiet.append(track.meter.tick())
    report = track.reception.block(1, now)
    assert report is not None
    assert (report.fraction_lost, report.packets_lost, bool(track.loss)) == (0, 0, False)
    assert spoke > 0.8
    assert quiet == sorted(quiet, reverse=True)
    assert quiet[-1] < 0.12
    assert track.reception.jitter < 0.001
