"""The ticker keeps its pace, does not make up for what it missed, and says how late it was."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from loadtest import ticker as module
from loadtest.ticker import INTERVAL, Ticker
from tests.support.clock import FakeClock


class Enough(Exception):
    """Ends `run`, which ends only when something ends it."""


@pytest.fixture
def slept(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeping moves the clock; these are the seconds asked for."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    return asked


async def ticks_of(ticker: Ticker, clock: FakeClock, works: list[float]) -> list[float]:
    """The times at which it ticked, when the work of each tick takes so many seconds."""
    ticks: list[float] = []

    def tick(now: float) -> None:
        ticks.append(now - 1000)
        clock.advance(works[len(ticks) - 1])
        if len(ticks) == len(works):
            raise Enough

    ticker.add(tick)
    with pytest.raises(Enough):
        await ticker.run()
    ticker.remove(tick)
    return ticks


async def test_the_time_that_a_tick_takes_does_not_shift_the_next(clock: FakeClock, slept: list[float]) -> None:
    ticker = Ticker()
    ticks = await ticks_of(ticker, clock, [0.0, 0.004, 0.009, 0.0])
    assert ticks == pytest.approx([INTERVAL * n for n in (1, 2, 3, 4)])
    assert ticker.latest == pytest.approx(0, abs=1e-9)


async def test_after_a_stall_it_goes_on_from_there_and_says_how_late_it_was(
    clock: FakeClock, slept: list[float]
) -> None:
    ticker = Ticker()
    ticks = await ticks_of(ticker, clock, [0.0, 0.5, 0.0, 0.0])
    assert ticks == pytest.approx([0.01, 0.02, 0.52, 0.53])
    assert ticker.latest == pytest.approx(0.49)


async def test_a_small_delay_is_caught_up_with(clock: FakeClock, slept: list[float]) -> None:
    ticker = Ticker()
    ticks = await ticks_of(ticker, clock, [0.015, 0.0, 0.0])
    assert ticks == pytest.approx([0.01, 0.025, 0.03])
    assert ticker.latest == pytest.approx(0.005)


async def test_others_run_even_if_it_is_always_late(clock: FakeClock, slept: list[float]) -> None:
    await ticks_of(Ticker(), clock, [1.0] * 5)
    assert len(slept) == 5


async def test_who_leaves_during_a_tick_is_not_called_again(clock: FakeClock, slept: list[float]) -> None:
    ticker, calls = Ticker(), []

    def once(now: float) -> None:
        calls.append(now)
        ticker.remove(once)

    ticker.add(once)
    ticker.remove(lambda _: None)
    assert len(await ticks_of(ticker, clock, [0.0] * 3)) == 3
    assert len(calls) == 1
