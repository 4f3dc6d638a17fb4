"""No fault in the sharing of rooms ends the task that everybody's calls hang on, and the sharing goes on after it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce

import pytest

from state import link as link_module
from state import wire
from state.guard import Guard, Limits
from state.link import Link
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.modes import Mode, Modes
from state.news import News
from state.sharing import Sharing
from state.store import Post, Reply, Request, StoreError, WriteSlice
from state.wire import NodeRecord, Said
from tests.support.memory_store import MemoryStore
from tests.support.waiting import eventually

ROOM, ADA = RoomName("room"), ParticipantId("p1")


class Store:
    """A store in memory, which may raise what no store should."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.broken = self.forbids_reading = False
        self.writes = self.reads = 0

    async def execute(self, request: Request) -> Reply:
        """Carry out one request."""
        if self.broken:
            raise KeyError("a fault")
        self.writes += isinstance(request, WriteSlice)
        return self.memory.execute(request, time.monotonic())

    async def receive(self, node: NodeId, block: float) -> list[str]:
        """Notes of an inbox."""
        await asyncio.sleep(0.01)
        if self.broken:
            raise KeyError("a fault")
        if self.forbids_reading:
            raise StoreError("noperm", "this user has no permissions to run the 'xread' command")
        self.reads += 1
        return self.memory.take(node)

    async def reset(self) -> None:
        """Raise, as nothing should."""
        raise KeyError("a fault")

    async def close(self) -> None:
        """Do nothing."""


class Linked:
    """A link that runs, and what it told."""

    def __init__(self) -> None:
        now, luck = time.monotonic(), random.Random(1)
        self.sharing = Sharing(
            NodeRecord(node=NodeId("a"), nonce=""),
            guard=lambda listener: Guard("redis", Limits(), listener, luck.random, now),
            modes=Modes(now),
            random=luck.randbytes,
            now=now,
        )
        self.store = Store()
        self.link = Link(self.sharing, self.store)
        self.faults = 0
        self.link.failed = self._failed

    def _failed(self) -> None:
        self.faults += 1

    async def is_in(self, mode: Mode) -> None:
        """Wait until it is in a mode."""

        async def holds() -> bool:
            return self.sharing.modes.mode is mode

        await eventually(holds, 15.0)

    async def shares(self) -> None:
        """See that what changes here reaches the store."""
        before = self.store.writes
        member = Participant(ADA, Identity("ada"), "Ada", joined=before)
        self.sharing.change(ROOM, {ADA: member}, time.monotonic())
        self.link.pump()

        async def stored() -> bool:
            return self.store.writes > before and self.sharing.is_stored

        await eventually(stored, 10.0)


@asynccontextmanager
async def linked() -> AsyncIterator[Linked]:
    """A link that shares; that it runs at the end is checked."""
    one = Linked()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(one.link.run())
        await one.is_in(Mode.CLUSTERED)
        await one.shares()
        yield one
        assert not task.done()
        task.cancel()


async def test_a_store_that_raises_anything_is_a_store_that_is_away() -> None:
    async with linked() as one:
        one.store.broken = True
        await one.is_in(Mode.STANDALONE)
        assert one.faults
        one.store.broken = False
        await one.is_in(Mode.CLUSTERED)
        await one.shares()


@pytest.mark.parametrize("step", ["_written", "_announced", "tick", "_hearing._hear", "take_requests", "received"])
async def test_a_fault_at_any_step_is_told_and_the_sharing_goes_on(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "BETWEEN_STARTS", 0.5)
    async with linked() as one:

        def fails(*_: object) -> None:
            raise KeyError("a fault")

        *parts, method = step.split(".")
        broken = reduce(getattr, parts, one.sharing)
        setattr(broken, method, fails)
        one.sharing.change(ROOM, {ADA: Participant(ADA, Identity("ada"), "Ada Lovelace")}, time.monotonic())
        one.link.pump()

        async def has_failed() -> bool:
            note = wire.dump_note(Said(ROOM, NodeId("b"), "id", "something"))
            one.store.memory.execute(Post(((one.sharing.record.node, note),), 10, 60.0), time.monotonic())
            return one.faults > 0

        await eventually(has_failed, 10.0)
        delattr(broken, method)
        await one.is_in(Mode.CLUSTERED)
        await one.shares()


async def test_a_fault_in_who_hears_the_news_loses_no_other_news() -> None:
    async with linked() as one:
        heard: list[News] = []

        def hears(news: News) -> None:
            heard.append(news)
            raise KeyError("a fault")

        one.link.heard = hears
        one.store.broken = True
        await one.is_in(Mode.STANDALONE)
        assert one.faults >= len(heard) >= 2


async def test_an_inbox_that_cannot_be_read_is_told_once_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PAUSE", 0.01)
    async with linked() as one:
        one.store.forbids_reading = True
        await eventually(lambda: one.sharing.counts["inbox_failures"] > 2)
        assert "cannot be read" not in caplog.text  # it may be over in a moment
        await eventually(lambda: one.sharing.counts["inbox_failures"] > 2 * link_module.TELL_AFTER)
        one.store.forbids_reading = False
        read = one.store.reads
        await eventually(lambda: one.store.reads > read)
        failures = one.sharing.counts["inbox_failures"]
        await eventually(lambda: one.store.reads > read + 3)
        assert one.sharing.counts["inbox_failures"] == failures
        assert caplog.text.count("What other instances say cannot be read from Redis: ") == 1
        assert "xread" in caplog.text
