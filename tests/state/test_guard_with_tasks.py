"""The guard around real tasks: however many want the trial, one makes it, and who is cancelled is no verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from state.guard import CircuitOpen, CircuitState, Guard, Limits, Outcome


class Store:
    """A dependency that answers, or fails, when the test says so."""

    def __init__(self) -> None:
        self.calls = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self) -> None:
        self.calls += 1
        await asyncio.shield(self.answer)


async def guarded(guard: Guard, work: Callable[[], Awaitable[None]], now: float) -> str:
    """Make a call as one must: ask, call, and record whatever came of it."""
    try:
        permit = guard.acquire(now)
    except CircuitOpen:
        return "refused"
    try:
        await work()
    except asyncio.CancelledError:
        guard.record(permit, Outcome.IGNORED, now)
        raise
    except ConnectionError as error:
        guard.record(permit, Outcome.FAILURE, now, str(error))
        return "failed"
    guard.record(permit, Outcome.SUCCESS, now)
    return "answered"


def opened() -> Guard:
    guard = Guard("store", Limits(max_failures=1, timeout=30))
    guard.record(guard.acquire(0.0), Outcome.FAILURE, 0.0, "refused")
    return guard


async def everybody_waits() -> None:
    """Let all tasks run until each is done or waits for the store."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_of_many_tasks_one_makes_the_trial_and_the_others_are_refused_at_once() -> None:
    guard, store = opened(), Store()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(guard, store.ask, 30.0)) for _ in range(50)]
        await everybody_waits()
        assert sum(task.done() for task in tasks) == 49
        assert (store.calls, guard.state) == (1, CircuitState.HALF_OPEN)
        store.answer.set_result(None)
    assert sorted(task.result() for task in tasks) == ["answered"] + ["refused"] * 49
    assert guard.state is CircuitState.CLOSED


async def test_a_cancelled_trial_hands_over_to_the_next_task() -> None:
    guard, store = opened(), Store()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(guarded(guard, store.ask, 30.0))
        await everybody_waits()
        assert store.calls == 1
        first.cancel()
        await everybody_waits()
        assert guard.state is CircuitState.HALF_OPEN
        second = group.create_task(guarded(guard, store.ask, 30.0))
        await everybody_waits()
        assert store.calls == 2
        store.answer.set_result(None)
    assert first.cancelled()
    assert second.result() == "answered"
    assert guard.state is CircuitState.CLOSED


async def test_clients_that_go_away_do_not_open_the_circuit() -> None:
    guard, store = Guard("store", Limits(max_failures=1)), Store()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(guard, store.ask, 0.0)) for _ in range(50)]
        await everybody_waits()
        assert store.calls == 50
        for task in tasks:
            task.cancel()
    assert guard.state is CircuitState.CLOSED
    assert guard.counts["ignored"] == 50


async def test_calls_that_fail_together_open_the_circuit_once() -> None:
    guard, store = Guard("store", Limits(max_failures=3)), Store()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(guarded(guard, store.ask, 0.0))
        await everybody_waits()
        assert store.calls == 50
        store.answer.set_exception(ConnectionError("reset"))
    assert guard.reason == "3 failures in a row: reset"
    assert (guard.counts["failure"], guard.counts["late"]) == (3, 47)
    with pytest.raises(CircuitOpen):
        guard.acquire(1.0)
