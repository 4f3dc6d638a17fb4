"""Promises of the level meters and of the ranking of speakers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.speakers import MAX_SPEAKERS, LevelMeter, RoomSpeakers, ranking

from .hostile import MANY, U8


def meter(*levels: int) -> LevelMeter:
    one = LevelMeter()
    for level in levels:
        one.packet(level)
    one.tick()
    return one


def test_full_scale_is_one_and_silence_is_zero() -> None:
    assert meter(0).level == 1
    assert meter(127).level == 0
    assert meter().level == 0


def test_the_loudest_packet_of_an_interval_counts() -> None:
    assert meter(127, 10, 60).level == meter(10).level


def test_the_voice_bit_of_the_sender_does_not_count() -> None:
    assert meter(0x80 | 20).level == meter(20).level


def test_background_noise_is_no_speech() -> None:
    assert meter(51).level == 0
    assert meter(50).level > 0


def test_a_pause_between_two_words_is_not_the_end_of_a_speech() -> None:
    speaker = meter(20)
    speaker.tick()
    assert ranking({"a": speaker.level}) != ()


def test_a_speaker_who_is_silent_for_long_leaves_the_ranking() -> None:
    speaker = meter(0)
    for _ in range(10):
        speaker.tick()
    assert ranking({"a": speaker.level}) == ()


def test_the_loudest_come_first_and_equals_by_name() -> None:
    assert ranking({"b": 0.71, "a": 0.7, "c": 0.9, "d": 0.1}) == (("c", 0.9), ("a", 0.7), ("b", 0.7))


def test_a_room_is_told_when_others_speak_in_it_than_before_and_only_then() -> None:
    speakers = RoomSpeakers()
    assert speakers.changed({"here": {"a": 0.9, "b": 0.0}, "there": {"c": 0.0}}) == [("here", (("a", 0.9),))]
    assert speakers.changed({"here": {"a": 0.88, "b": 0.01}, "there": {"c": 0.5}}) == [("there", (("c", 0.5),))]
    assert speakers.changed({"here": {"a": 0.0, "b": 0.0}, "there": {"c": 0.5}}) == [("here", ())]


def test_a_room_that_was_empty_meanwhile_is_told_anew() -> None:
    speakers = RoomSpeakers()
    levels = {"here": {"a": 0.9}}
    told = [speakers.changed(now) for now in (levels, levels, {}, levels)]
    assert told == [[("here", (("a", 0.9),))], [], [], [("here", (("a", 0.9),))]]


@MANY
@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=12))
def test_a_ranking_is_short_sorted_and_does_not_depend_on_order(levels: dict[str, float]) -> None:
    first = ranking(levels)
    assert len(first) <= MAX_SPEAKERS
    assert [level for _, level in first] == sorted((level for _, level in first), reverse=True)
    assert first == ranking(dict(reversed(levels.items())))


@MANY
@given(st.lists(st.lists(U8, max_size=5), max_size=20))
def test_a_level_stays_between_zero_and_one(intervals: list[list[int]]) -> None:
    one = LevelMeter()
    for levels in intervals:
        for level in levels:
            one.packet(level)
        assert 0 <= one.tick() <= 1
