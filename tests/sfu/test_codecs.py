"""Two codecs are the same only if a packet of one can be decoded as the other."""

from __future__ import annotations

import pytest

from sfu import codecs
from sfu.codecs import CodecKey, answered_extensions, answered_feedback, answered_parameters, codec_key, is_forwarded


def h264(profile_level_id: str | None, mode: str | None = "1") -> CodecKey:
    parameters = {"profile-level-id": profile_level_id, "packetization-mode": mode}
    return codec_key("H264", 90000, 1, {name: value for name, value in parameters.items() if value is not None})


@pytest.mark.parametrize("spelling", ["42e01f", "42C00b", "42f034", "4d8028", "4de01f", "58c015"])
def test_every_spelling_of_constrained_baseline_is_one_codec_at_any_level(spelling: str) -> None:
    assert h264(spelling) == h264("42e01f")


@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        ("42001f", "baseline"),
        ("58801f", "baseline"),
        ("4d001f", "main"),
        ("4d401f", "main"),
        ("58001f", "extended"),
        ("64001f", "high"),
        ("640c1f", "constrained-high"),
        ("f4001f", "high-444"),
    ],
)
def test_the_profile_is_read_as_rfc_6184_says(profile_level_id: str, profile: str) -> None:
    assert h264(profile_level_id).profile == f"1/{profile}"
    assert h264(profile_level_id) != h264("42e01f")
    assert is_forwarded(h264(profile_level_id))


def test_h264_in_another_packetization_mode_is_another_codec() -> None:
    assert h264("42e01f", "0") != h264("42e01f", "1")
    assert h264("42e01f", None) == h264("42e01f", "0")
    assert not is_forwarded(h264("42e01f", "2"))


def test_h264_without_a_profile_is_baseline() -> None:
    assert h264(None) == h264("42000a")


@pytest.mark.parametrize("nonsense", ["", "42e0", "zzzzzz", "42e01f0", "42e11f", "ff001f"])
def test_h264_of_a_profile_we_cannot_name_is_not_forwarded(nonsense: str) -> None:
    assert not is_forwarded(h264(nonsense))


def test_names_are_the_same_in_any_case() -> None:
    assert codec_key("OPUS", 48000, 2, {}) == codecs.OPUS
    assert codec_key("vp8", 90000, 1, {"max-fs": "12288"}) == codecs.VP8


def test_vp9_and_av1_without_a_profile_are_profile_zero() -> None:
    assert codec_key("VP9", 90000, 1, {}) == codec_key("VP9", 90000, 1, {"profile-id": "0"})
    assert codec_key("AV1", 90000, 1, {"level-idx": "5"}) == codec_key("AV1", 90000, 1, {"profile": "0"})


@pytest.mark.parametrize(
    ("key", "forwarded"),
    [
        (codec_key("opus", 48000, 2, {}), True),
        (codec_key("opus", 48000, 1, {}), False),
        (codec_key("VP8", 90000, 1, {}), True),
        (codec_key("VP8", 8000, 1, {}), False),
        (codec_key("VP9", 90000, 1, {"profile-id": "2"}), True),
        (codec_key("VP9", 90000, 1, {"profile-id": "1"}), False),
        (codec_key("VP9", 90000, 1, {"profile-id": "²"}), False),
        (codec_key("AV1", 90000, 1, {}), True),
        (codec_key("AV1", 90000, 1, {"profile": "1"}), False),
        (codec_key("red", 48000, 2, {}), False),
        (codec_key("telephone-event", 8000, 1, {}), False),
        (codec_key("CN", 8000, 1, {}), False),
        (codec_key("flexfec-03", 90000, 1, {}), False),
    ],
)
def test_only_what_can_be_forwarded_as_it_is_is_forwarded(key: CodecKey, forwarded: bool) -> None:
    assert is_forwarded(key) is forwarded


def test_opus_answers_dtx_only_to_who_offers_it() -> None:
    assert answered_parameters("opus", {"stereo": "1"}) == {"minptime": "10", "useinbandfec": "1"}
    assert answered_parameters("opus", {"usedtx": "1"})["usedtx"] == "1"


def test_a_copied_parameter_cannot_carry_anything_into_the_answer_but_a_plain_value() -> None:
    offered = {"packetization-mode": "1", "profile-level-id": "42e01f\t;x=y"}
    assert answered_parameters("H264", offered) == {"packetization-mode": "1"}


OFFERED = frozenset({"nack", "nack pli", "ccm fir", "ccm tmmbr", "transport-cc", "goog-remb", "nack sli"})


def test_feedback_is_what_was_offered_and_we_use() -> None:
    assert answered_feedback("audio", "publish", OFFERED, rtx=False) == {"transport-cc"}
    assert answered_feedback("video", "publish", OFFERED, rtx=True) == OFFERED - {"ccm tmmbr", "nack sli"}
    assert answered_feedback("video", "publish", frozenset({"nack"}), rtx=True) == {"nack"}


def test_a_slot_promises_retransmission_only_by_rtx() -> None:
    assert answered_feedback("video", "slot", OFFERED, rtx=True) == {"nack", "nack pli", "ccm fir"}
    assert answered_feedback("video", "slot", OFFERED, rtx=False) == {"nack pli", "ccm fir"}


EXTENSIONS = {
    codecs.MID: 4,
    codecs.TRANSPORT_WIDE_CC: 3,
    codecs.ABS_SEND_TIME: 2,
    codecs.AUDIO_LEVEL: 1,
    codecs.VIDEO_ORIENTATION: 13,
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": 10,
    "urn:ietf:params:rtp-hdrext:toffset": 14,
}


def test_header_extensions_are_those_we_use_under_the_offered_ids() -> None:
    assert answered_extensions("audio", "publish", EXTENSIONS) == {
        codecs.MID: 4,
        codecs.TRANSPORT_WIDE_CC: 3,
        codecs.AUDIO_LEVEL: 1,
    }
    assert answered_extensions("video", "slot", EXTENSIONS) == {codecs.VIDEO_ORIENTATION: 13}


def test_a_slot_takes_no_header_extension_that_needs_the_two_byte_form() -> None:
    offered = {codecs.AUDIO_LEVEL: 15}
    assert answered_extensions("audio", "slot", offered) == {}
    assert answered_extensions("audio", "publish", offered) == offered


def test_abs_send_time_stands_in_where_transport_cc_is_missing() -> None:
    offered = {uri: number for uri, number in EXTENSIONS.items() if uri != codecs.TRANSPORT_WIDE_CC}
    assert answered_extensions("video", "publish", offered)[codecs.ABS_SEND_TIME] == 2
