"""An outage of our own network, of whatever length and whenever it comes, is held against no relay."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

import pytest

from turn_probe.fleet import Fleet
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace
from turn_probe.urls import Server, parse

TURN = [parse(f"turn:{name}.example") for name in "abc"]
NEUTRAL = parse("stun:elsewhere.example")
DEAD = parse("stun:dead.example")
PACE = Pace()


def lists_without_relay(
    is_dark: Callable[[float], bool], seconds: float, seed: int, pace: Pace = PACE, neutral: float = 5.0
) -> int:
    """How often clients are told that there is none, if a probe takes 0.1 s, and 5 s where it is dark.

    One of the neutral server takes `neutral` seconds there.
    """
    fleet = Fleet([*TURN, NEUTRAL, DEAD], pace, random.Random(seed).random, 0.0)
    running: list[tuple[float, int, Report]] = []
    numbers = itertools.count()
    found, now = 0, 0.0
    while now < seconds:
        for server in fleet.due(now):
            dark = is_dark(now) or server is DEAD
            report = Report(server, Verdict.DOWN if dark else Verdict.UP, "", (), round_trip=None if dark else 0.02)
            heapq.heappush(running, (now + _length(server, neutral, dark=dark), next(numbers), report))
        now = min(fleet.next_due, running[0][0] if running else fleet.next_due)
        while running and running[0][0] <= now:
            _, _, report = heapq.heappop(running)
            found += fleet.take(report, now) and fleet.offered.lacks_turn
    return found


def _length(server: Server, neutral: float, *, dark: bool) -> float:
    return 0.1 if not dark else neutral if server is NEUTRAL else 5.0


@pytest.mark.parametrize("length", [15.0, 20.0, 30.0, 60.0, 120.0])
def test_after_an_outage_nobody_is_told_that_there_is_no_relay(length: float) -> None:
    for seed in range(40):
        assert lists_without_relay(lambda now: 100.0 <= now < 100.0 + length, 400.0, seed) == 0


@pytest.mark.parametrize("neutral", [0.5, 3.0, 5.0])
def test_nor_where_probes_take_longer_than_there_is_between_them(neutral: float) -> None:
    for seed in range(40):
        pace = PACE.at_interval(1.0)
        assert lists_without_relay(lambda now: 100.0 <= now < 160.0, 300.0, seed, pace, neutral) == 0


def test_nor_after_one_outage_after_the_other() -> None:
    for seed in range(20):
        assert lists_without_relay(lambda now: now % 240.0 > 180.0, 2400.0, seed) == 0


def test_but_if_it_is_the_relays_that_have_gone_that_is_told_although_a_neutral_server_is_dead() -> None:
    fleet = Fleet([*TURN, DEAD], Pace(), lambda: 0.5, 0.0)
    now = 0.0
    while now < 7200.0:
        now = fleet.next_due
        for server in fleet.due(now):
            dark = server is DEAD or now > 3600.0
            fleet.take(Report(server, Verdict.DOWN if dark else Verdict.UP, "", ()), now)
        if now < 3600.0:
            assert not fleet.offered.lacks_turn
    assert fleet.offered.lacks_turn
