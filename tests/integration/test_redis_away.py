"""Two instances share rooms again after the Redis between them was away, in whatever way it went and came back."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.redis_faults import BLACK_HOLED, HUNG, KILLED
from tests.support.side_by_side import Played, Scenario, play

from .scenarios.returning import (
    a_cluster_that_lost_a_node,
    a_replica_that_sentinels_promoted,
    returns,
    the_same_but_empty,
    the_same_with_what_it_held,
)
from .scenarios.split import split_and_heal

PROMISES: dict[str, Scenario] = {
    "a room that split while Redis was killed is one again": partial(split_and_heal, KILLED),
    "a room that split while Redis hung is one again": partial(split_and_heal, HUNG),
    "a room that split while Redis was black-holed is one again": partial(split_and_heal, BLACK_HOLED),
    "each hears once of a Redis that is back with what it held": partial(returns, the_same_with_what_it_held),
    "each hears once of a Redis that is back empty": partial(returns, the_same_but_empty),
    "each hears once of a replica that was promoted": partial(returns, a_replica_that_sentinels_promoted),
    "each hears once of a cluster that is whole again": partial(returns, a_cluster_that_lost_a_node),
}


@pytest.fixture(scope="module")
def played() -> Played:
    return play(PROMISES)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("promise", PROMISES)
def test_after_an_outage(promise: str, played: Played) -> None:
    print(f"\n{promise}: {played.measured(promise)}")
