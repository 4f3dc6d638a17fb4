"""A room speaks what all its members understand, and nobody falls silent for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.codec_policy import answerable, decodable_by_all
from sfu.codecs import OPUS, VP8, CodecKey, codec_key

from .media import VP9

AV1 = CodecKey("AV1", 90000, 1, "0")
STRANGE = codec_key("H265", 90000, 1, {})
keys = st.sampled_from([OPUS, VP8, VP9, AV1])


def test_while_nobody_has_said_what_it_decodes_everything_is_allowed() -> None:
    assert decodable_by_all([]) is None
    assert answerable([AV1, VP8], None, AV1) is None


@given(decoders=st.lists(st.frozensets(keys), min_size=1, max_size=5))
def test_what_is_common_is_decoded_by_each_but_for_the_two_that_every_browser_has(
    decoders: list[frozenset[CodecKey]],
) -> None:
    common = decodable_by_all(decoders)
    assert common is not None
    assert {OPUS, VP8} <= common
    assert all(common - {OPUS, VP8} <= one for one in decoders)
    assert all(key in common for key in (VP9, AV1) if all(key in one for one in decoders))


def test_a_running_track_moves_on_to_a_common_codec_if_its_publisher_has_one() -> None:
    assert answerable([AV1, VP8], {OPUS, VP8}, AV1) == {OPUS, VP8}
    assert answerable([AV1], {OPUS, VP8}, AV1) == {OPUS, VP8, AV1}
    assert answerable([AV1, STRANGE], {OPUS, VP8, STRANGE}, AV1) == {OPUS, VP8, STRANGE, AV1}


def test_a_new_track_without_a_common_codec_is_not_let_in() -> None:
    assert answerable([AV1], {OPUS, VP8}, None) == {OPUS, VP8}
