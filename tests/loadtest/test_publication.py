"""A publication offers the section that its source needs, and becomes a stream only by an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.media import Camera, Microphone
from loadtest.publication import Rates, SourceName, make_publication, outgoing_stream
from loadtest.sdp import Answer, AnsweredSection, AnswerError, OfferedSection

VIDEO = AnsweredSection("1", "video", "recvonly", 96, 97, {"uri": 3})


def answer(*sections: AnsweredSection) -> Answer:
    return Answer("serv", "q" * 24, (), (), {section.mid: section for section in sections})


@pytest.mark.parametrize("name", ["camera", "screen"])
def test_a_picture_is_offered_with_rtx(name: SourceName) -> None:
    item = make_publication(name, "1", (10, 11), 7, Rates(), 0.0)
    assert item.section == OfferedSection("1", "video", 10, 11)
    assert isinstance(item.source, Camera)
    assert (item.source.track, item.stream, item.track) == (7, None, "")


@pytest.mark.parametrize("name", ["microphone", "screen_audio"])
def test_sound_is_offered_without(name: SourceName) -> None:
    item = make_publication(name, "1", (10, 11), 7, Rates(), 0.0)
    assert item.section == OfferedSection("1", "audio", 10)
    assert isinstance(item.source, Microphone)


def test_sources_keep_the_rates() -> None:
    rates = Rates(video_bitrate=80_000, frame_rate=10, audio_bitrate=16_000, payload_bytes=100)
    camera = make_publication("camera", "1", (10, 11), 7, rates, 5.0).source
    list(camera.due(5.0))  # the keyframe is larger
    frames = [packet for tenth in range(1, 11) for packet in camera.due(5.05 + tenth / 10)]
    assert sum(packet.marker == 0x80 for packet in frames) == 10
    assert sum(8 * len(packet.payload) for packet in frames) == pytest.approx(80_000, rel=0.05)
    assert max(len(packet.payload) for packet in frames) <= 100
    assert [
        len(packet.payload) for packet in make_publication("microphone", "0", (1, 2), 7, rates, 0.0).source.due(0)
    ] == [40]


def test_the_stream_is_what_the_answer_settled() -> None:
    item = make_publication("camera", "1", (10, 11), 7, Rates(), 0.0)
    settled = outgoing_stream(item, answer(VIDEO), 5).format
    assert (settled.mid, settled.ssrc, settled.payload_type, settled.clock_rate) == ("1", 10, 96, 90_000)
    assert (settled.rtx_ssrc, settled.rtx_payload_type, settled.extensions) == (11, 97, {"uri": 3})


def test_rtx_that_was_not_accepted_is_off() -> None:
    item = make_publication("camera", "1", (10, 11), 7, Rates(), 0.0)
    settled = outgoing_stream(item, answer(replace(VIDEO, rtx_payload_type=None)), 5).format
    assert (settled.rtx_ssrc, settled.rtx_payload_type) == (None, None)


def test_a_section_that_the_answer_lacks_is_an_error() -> None:
    item = make_publication("camera", "1", (10, 11), 7, Rates(), 0.0)
    with pytest.raises(AnswerError, match="section 1"):
        outgoing_stream(item, answer(), 5)
