"""Instances that die or stand still, and a Redis that does not come to rest, for the people at the other instances."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.side_by_side import Played, Scenario, play

from .scenarios.dying import killed, stopped
from .scenarios.restless import forgetful, restless

PROMISES: dict[str, Scenario] = {
    "the people of an instance that is killed leave, too": killed,
    "an instance that stands still for 25 s leaves no ghosts": partial(stopped, 25.0),
    "a Redis that comes and goes is no storm": partial(restless, "flapping", 20.0),
    "connections that are reset delay no reply": partial(restless, "resetting connections", 20.0),
    "nobody leaves because Redis forgets everything": forgetful,
}
LONG_PROMISES: dict[str, Scenario] = {
    "an instance that stands still for a minute leaves no ghosts": partial(stopped, 60.0),
    "a Redis that comes and goes for two minutes is no storm": partial(restless, "flapping", 120.0),
    "connections that are reset for two minutes delay no reply": partial(restless, "resetting connections", 120.0),
}


@pytest.fixture(scope="module")
def played() -> Played:
    return play(PROMISES)


@pytest.fixture(scope="module")
def played_for_long() -> Played:
    return play(LONG_PROMISES)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("promise", PROMISES)
def test_people_are_spared(promise: str, played: Played) -> None:
    print(f"\n{promise}: {played.measured(promise)}")


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("promise", LONG_PROMISES)
def test_people_are_spared_for_long(promise: str, played_for_long: Played) -> None:
    print(f"\n{promise}: {played_for_long.measured(promise)}")
