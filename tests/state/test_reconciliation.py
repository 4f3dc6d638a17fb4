"""After the store's return the others get time to say what happened, and not more than is bearable."""

from __future__ import annotations

import pytest

from state.model import RoomName
from state.reconciliation import Reconciliation
from state.timing import Timing

TIMING = Timing(settle=2.0, settle_most=6.0)


@pytest.fixture
def exchange() -> Reconciliation:
    """One that began at 100 s."""
    began = Reconciliation(TIMING, 0.0)
    began.begin(100.0)
    return began


def over_at(exchange: Reconciliation, *, exchanged: bool = True, alone: bool = False) -> float:
    """When it may end if nothing happens any more, in tenths of a second."""
    return next(n / 10 for n in range(1000, 2000) if exchange.is_over(n / 10, exchanged=exchanged, alone=alone))


def test_the_others_have_some_time_to_say_what_they_have(exchange: Reconciliation) -> None:
    assert over_at(exchange) == 102.0


def test_who_is_alone_waits_for_nobody(exchange: Reconciliation) -> None:
    assert over_at(exchange, alone=True) == 100.0


def test_it_lasts_for_as_long_as_news_come(exchange: Reconciliation) -> None:
    exchange.heard(101.8)
    assert over_at(exchange) == 102.8


@pytest.mark.parametrize("alone", [True, False])
def test_it_ends_some_time_even_if_not_all_could_be_exchanged(exchange: Reconciliation, alone: bool) -> None:
    exchange.heard(105.9)
    assert over_at(exchange, exchanged=False, alone=alone) == 106.0


def test_its_end_tells_where_something_changed_and_how_long_it_took(exchange: Reconciliation) -> None:
    exchange.changed.add(RoomName("room"))
    assert exchange.end(103.5) == ("room",)
    assert exchange.changed == set()
    assert list(exchange.seconds) == [3.5]
