"""Who has shown nothing yet is bounded in number, in number per address, and in time; nobody keeps a newcomer out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.strangers import Refusal, Strangers, place_of

from .hostile import MANY


def test_of_one_address_there_are_only_so_many_and_the_one_that_waits_longest_makes_room() -> None:
    strangers: Strangers[int] = Strangers(most=100, most_per_address=3)
    assert [strangers.enter(number, "192.0.2.1", 0.0) for number in range(3)] == [None] * 3
    assert strangers.enter(3, "192.0.2.2", 0.0) is None
    assert strangers.enter(4, "192.0.2.1", 0.0) == Refusal(0, "too_many_of_address")
    assert [number in strangers for number in range(5)] == [False, True, True, True, True]
    strangers.leave(1)
    assert strangers.enter(5, "192.0.2.1", 0.0) is None


def test_when_there_are_too_many_the_one_that_waits_longest_makes_room() -> None:
    strangers: Strangers[int] = Strangers(most=3, most_per_address=3)
    refused = [strangers.enter(number, f"192.0.2.{number}", 0.0) for number in range(5)]
    assert refused == [None, None, None, Refusal(0, "too_many_strangers"), Refusal(1, "too_many_strangers")]
    assert [number in strangers for number in range(5)] == [False, False, True, True, True]


def test_patience_ends() -> None:
    strangers: Strangers[str] = Strangers(patience=5.0)
    strangers.enter("ann", "192.0.2.1", 10.0)
    strangers.enter("bob", "192.0.2.1", 12.0)
    assert strangers.late(15.0) == []
    assert strangers.late(15.1) == [Refusal("ann", "silent")]
    strangers.leave("ann")
    strangers.leave("ann")
    assert strangers.late(15.1) == []
    assert len(strangers) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_with_ipv6_a_whole_network_is_one_address(one: str, other: str, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same


@MANY
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.booleans()), max_size=60))
def test_whoever_comes_and_goes_the_bounds_hold(moves: list[tuple[int, int, bool]]) -> None:
    strangers: Strangers[int] = Strangers(most=5, most_per_address=2)
    inside: dict[int, int] = {}
    for who, place, comes in moves:
        if comes and who not in inside:
            refusal = strangers.enter(who, f"192.0.2.{place}", 0.0)
            inside[who] = place
            if refusal is not None:
                del inside[refusal.who]
        elif not comes:
            strangers.leave(who)
            inside.pop(who, None)
        assert len(strangers) == len(inside) <= 5
        assert all(list(inside.values()).count(known) <= 2 for known in inside.values())
