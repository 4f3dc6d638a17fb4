"""What an owner started ends with its block, whatever ends the block."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.owner import Owner


async def for_ever(ends: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ends.append("ended")


async def fail() -> None:
    raise ZeroDivisionError


def only_this_task() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_tasks_are_cancelled_when_the_block_ends() -> None:
    ends: list[str] = []
    async with Owner() as owner:
        owner.start(for_ever(ends))
        owner.start(for_ever(ends))
        await asyncio.sleep(0)
        assert ends == []
    assert ends == ["ended", "ended"]
    assert only_this_task()


async def test_the_failure_of_a_task_ends_the_block_and_the_other_tasks() -> None:
    ends: list[str] = []

    async def block() -> None:
        async with Owner() as owner:
            owner.start(for_ever(ends))
            owner.start(fail())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert caught.group_contains(ZeroDivisionError)
    assert ends == ["ended"]
    assert only_this_task()


async def test_the_failure_of_the_block_ends_the_tasks_and_keeps_its_type() -> None:
    ends: list[str] = []

    async def block() -> None:
        async with Owner() as owner:
            owner.start(for_ever(ends))
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()
    assert ends == ["ended"]
    assert only_this_task()


async def test_if_both_fail_both_are_told() -> None:
    async def block() -> None:
        async with Owner() as owner:
            owner.start(fail())
            try:
                await asyncio.Event().wait()
            finally:
                raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert caught.group_contains(ZeroDivisionError)
    assert caught.group_contains(LookupError)
    assert only_this_task()


async def test_a_block_that_is_cancelled_ends_its_tasks_and_stays_cancelled() -> None:
    ends: list[str] = []

    async def block() -> None:
        async with Owner() as owner:
            owner.start(for_ever(ends))
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await block()
    assert ends == ["ended"]
    assert only_this_task()
