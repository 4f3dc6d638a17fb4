"""Promises of the merged keyframe requests, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfu.keyframes import MIN_INTERVAL, RETRY_INTERVAL, KeyframeRequests

from .hostile import MANY


def test_the_first_wish_is_passed_on_at_once() -> None:
    requests = KeyframeRequests()
    assert not requests.due(0.0)
    assert requests.want(0.0)


def test_many_wishes_are_one_request() -> None:
    requests = KeyframeRequests()
    assert [requests.want(10 + step / 100) for step in range(50)] == [True] + [False] * 49


def test_an_unanswered_request_is_repeated_after_a_second() -> None:
    requests = KeyframeRequests()
    requests.want(10.0)
    assert [step / 10 for step in range(100, 135) if requests.due(step / 10)] == [11.0, 12.0, 13.0]


def test_a_wish_soon_after_an_answered_request_waits_no_longer_than_the_shortest_interval() -> None:
    requests = KeyframeRequests()
    requests.want(10.0)
    requests.arrived()
    assert not requests.want(10.1)
    assert [step / 10 for step in range(101, 115) if requests.due(step / 10)] == [10.5]


def test_after_the_keyframe_nothing_is_asked_for() -> None:
    requests = KeyframeRequests()
    requests.want(10.0)
    requests.arrived()
    assert not any(requests.due(10 + step / 10) for step in range(100))


def test_a_keyframe_without_a_wish_changes_nothing() -> None:
    requests = KeyframeRequests()
    requests.arrived()
    assert not requests.due(5.0)
    assert requests.want(5.0)


@MANY
@given(st.lists(st.tuples(st.sampled_from(["want", "arrived", "due", "due"]), st.integers(0, 12)), max_size=80))
def test_requests_keep_their_distance_and_no_wish_is_forgotten(steps: list[tuple[str, int]]) -> None:
    requests = KeyframeRequests()
    now, wanted = 100.0, False
    sent: list[float] = []
    for action, sixteenths in steps:
        now += sixteenths / 16
        if action == "arrived":
            requests.arrived()
            wanted = False
            continue
        if action == "want":
            wanted = True
            asked = requests.want(now)
        else:
            asked = requests.due(now)
        if asked:
            assert wanted
            assert not sent or now - sent[-1] >= MIN_INTERVAL
            sent.append(now)
        elif wanted:
            assert now - sent[-1] < RETRY_INTERVAL
