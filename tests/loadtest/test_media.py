"""A synthetic camera and a synthetic microphone produce what real ones would, as far as anybody can tell on the way."""

from __future__ import annotations

import pytest

from loadtest.media import AUDIO_CLOCK, VIDEO_CLOCK, Camera, Microphone, Payload
from loadtest.tags import TAG_BYTES, read_tag
from sfu.payloads import starts_keyframe

TRACK = 0xABCD1234
is_keyframe = starts_keyframe("VP8")


def camera(kbps: float = 500, fps: float = 25, payload_bytes: int = 1200) -> Camera:
    return Camera(TRACK, bits_per_second=1000 * kbps, frames_per_second=fps, start=100.0, payload_bytes=payload_bytes)


def frames(packets: list[Payload]) -> list[list[Payload]]:
    """Packets by frame: the marker ends one."""
    found: list[list[Payload]] = [[]]
    for packet in packets:
        found[-1].append(packet)
        if packet.marker:
            found.append([])
    assert found.pop() == [], "the last frame has no end"
    return found


def picture_id(packet: Payload) -> int:
    return (packet.payload[2] & 0x7F) << 8 | packet.payload[3]


def test_a_camera_begins_with_a_keyframe_and_makes_others_only_when_asked() -> None:
    source = camera()
    first = frames(list(source.due(101.0)))
    source.request_keyframe()
    second = frames(list(source.due(102.0)))
    assert [is_keyframe(frame[0].payload) for frame in first] == [True] + [False] * (len(first) - 1)
    assert [is_keyframe(frame[0].payload) for frame in second] == [True] + [False] * (len(second) - 1)
    assert source.keyframes == 2


def test_only_the_first_packet_of_a_frame_starts_it() -> None:
    for frame in frames(list(camera(kbps=2500).due(100.4))):
        assert [packet.payload[0] for packet in frame] == [0x90] + [0x80] * (len(frame) - 1)


def test_frames_have_their_own_picture_id_and_timestamp_and_share_it_between_their_packets() -> None:
    taken = frames(list(camera(kbps=2500, fps=25).due(100.4)))
    ids = [{picture_id(packet) for packet in frame} for frame in taken]
    times = [{packet.timestamp for packet in frame} for frame in taken]
    assert ids == [{(TRACK + n) & 0x7FFF} for n in range(len(taken))]
    assert times == [{n * VIDEO_CLOCK // 25} for n in range(len(taken))]


@pytest.mark.parametrize("kbps", [64, 150, 500, 2500])
@pytest.mark.parametrize("fps", [15, 30])
def test_a_camera_keeps_its_bitrate_and_its_packet_size(kbps: int, fps: int) -> None:
    source = camera(kbps, fps)
    list(source.due(100.0))  # the keyframe is larger
    packets = [packet for tenth in range(1, 51) for packet in source.due(100.0 + tenth / 10)]
    assert max(len(packet.payload) for packet in packets) <= 1200
    assert sum(8 * len(packet.payload) for packet in packets) == pytest.approx(5000 * kbps, rel=0.05)


@pytest.mark.parametrize("payload_bytes", [52, 53, 100, 1200])
@pytest.mark.parametrize("kbps", [1, 60, 61, 300, 301, 302, 303])
def test_each_packet_has_room_for_its_tag_and_counts_on(kbps: int, payload_bytes: int) -> None:
    source = camera(kbps, payload_bytes=payload_bytes)
    packets = list(source.due(100.4))
    assert [read_tag(packet.payload) for packet in packets] == [(TRACK, n) for n in range(len(packets))]
    assert all(4 + TAG_BYTES <= len(packet.payload) <= payload_bytes for packet in packets)


def test_after_a_stall_the_missed_frames_are_left_out() -> None:
    source = camera(fps=25)
    list(source.due(100.0))
    assert len(frames(list(source.due(160.0)))) == 1


def test_a_camera_is_not_asked_for_payloads_that_cannot_hold_a_tag() -> None:
    with pytest.raises(ValueError, match="bytes"):
        camera(payload_bytes=20)


def test_a_microphone_speaks_fifty_times_a_second_at_its_bitrate() -> None:
    source = Microphone(TRACK, bits_per_second=32_000, start=0.0)
    packets = [packet for tick in range(1, 101) for packet in source.due(tick / 100 - 0.001)]
    assert len(packets) == 50
    assert sum(8 * len(packet.payload) for packet in packets) == 32_000
    assert [packet.timestamp for packet in packets] == [n * AUDIO_CLOCK // 50 for n in range(50)]
    assert [read_tag(packet.payload) for packet in packets] == [(TRACK, n) for n in range(50)]


def test_a_microphone_tells_how_loud_it_is() -> None:
    source = Microphone(TRACK, bits_per_second=32_000, start=0.0, level=33)
    assert next(iter(source.due(0.0))).level == bytes([0x80 | 33])


def test_after_a_stall_a_microphone_goes_on_in_time() -> None:
    source = Microphone(TRACK, bits_per_second=32_000, start=0.0)
    list(source.due(0.0))
    late = list(source.due(60.01))
    assert len(late) <= 2
    assert late[-1].timestamp == pytest.approx(60 * AUDIO_CLOCK, abs=AUDIO_CLOCK // 25)


def test_a_payload_of_somebody_else_has_no_tag() -> None:
    assert read_tag(b"") is None
    assert read_tag(bytes(100)) is None
