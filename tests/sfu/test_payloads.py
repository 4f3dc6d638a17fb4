"""Promises of the keyframe tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.payloads import starts_keyframe

from .hostile import MANY, mutations

KEYFRAMES = {
    "VP8": [
        "10 10 0200 9d012a",  # the plain descriptor; P=0
        "90 80 15 10 02",  # a picture id of seven bits
        "90 80 9234 10 02",  # of fifteen
        "90 e0 9234 01 20 10 02",  # with TL0PICIDX and TID
        "90 10 20 10 02",  # KEYIDX alone
        "18 10 02",  # the reserved bit is set: to be ignored
    ],
    "VP9": [
        "88 05",
        "88 9234 00",
        "a8 9234 00 05",  # spatial layer 0, temporal layer 0
        "08 aa",
    ],
    "H264": [
        "67 42",  # sequence parameter set
        "78 0002 6742 0002 68ce 0002 6588",  # STAP-A
        "78 0002 68ce 0002 6742",
    ],
    "AV1": ["18 0a0b", "08 0a"],
}
OTHERS = {
    "VP8": [
        "",
        "10",
        "90",
        "90 80",
        "90 80 92",
        "10 11 02",  # P=1
        "00 10 02",  # no start
        "11 10 02",  # partition 1
        "90 80 9234 11 02",
    ],
    "VP9": [
        "",
        "88",
        "a8 92",
        "a8 9234",
        "c8 9234 00",  # P=1
        "80 9234 00",  # B=0
        "a8 9234 02 05",  # spatial layer 1
    ],
    "H264": [
        "",
        "61 88",  # a slice of another picture
        "65 88",  # an IDR slice: its parameters came before, or are lost
        "7c 85 88",  # first FU-A of an IDR slice, likewise
        "68 ce",  # picture parameter set
        "78",
        "78 0002 68ce 0002 4188",
        "78 ffff",
        "7c",
        "7c 05 88",  # a later FU-A of an IDR slice
        "7c 81 88",  # first FU-A of another slice
    ],
    "AV1": ["", "10 0a", "90"],
}


@pytest.mark.parametrize(("codec", "payload"), [(codec, each) for codec, list_ in KEYFRAMES.items() for each in list_])
def test_the_first_packet_of_a_keyframe_is_known(codec: str, payload: str) -> None:
    assert starts_keyframe(codec)(bytes.fromhex(payload))


@pytest.mark.parametrize(("codec", "payload"), [(codec, each) for codec, list_ in OTHERS.items() for each in list_])
def test_other_packets_are_no_start(codec: str, payload: str) -> None:
    assert not starts_keyframe(codec)(bytes.fromhex(payload))


@pytest.mark.parametrize("codec", ["opus", "PCMU", "", "H265"])
def test_what_has_no_keyframes_may_start_anywhere(codec: str) -> None:
    assert starts_keyframe(codec)(b"")


def test_the_name_of_a_codec_is_read_in_any_case() -> None:
    assert starts_keyframe("vp8") is starts_keyframe("VP8")


@MANY
@given(
    st.sampled_from(sorted(KEYFRAMES)),
    st.one_of(
        st.binary(max_size=12),
        mutations([bytes.fromhex(each) for table in (KEYFRAMES, OTHERS) for list_ in table.values() for each in list_]),
    ),
)
def test_no_payload_raises(codec: str, payload: bytes) -> None:
    assert starts_keyframe(codec)(payload) in (True, False)
