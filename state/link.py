"""The shell of sharing: carries its requests to the store and the answers back, reads the inbox, and keeps its clock.

The calls of everybody here hang on the same group of tasks, so a fault of ours in the sharing ends none of these: it
is told to `failed`, and the sharing starts over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from .guard import CircuitState
from .model import NodeId
from .news import CircuitMoved, News
from .pending import Pending
from .sharing import Sharing
from .store import Reply, Request, StoreError

log = logging.getLogger(__name__)

TICK = 0.1  # seconds; how exact the machine's times are
BLOCK = 1.0  # seconds that the store is asked to wait for a note
PAUSE = 0.2  # seconds between two looks at an inbox that cannot be read
TELL_AFTER = 15  # such looks in a row
FAREWELL = 1.0  # seconds that the end may take
BETWEEN_STARTS = 5.0  # seconds at least between two times that the sharing starts over after a fault of ours


class Store(Protocol):
    """Where instances meet."""

    async def execute(self, request: Request) -> Reply:
        """Carry out one request. Raises StoreError."""

    async def receive(self, node: NodeId, block: float) -> list[str]:
        """Notes of an inbox; waits for some at most `block` seconds. Raises StoreError."""

    async def reset(self) -> None:
        """Let go of all connections."""

    async def close(self) -> None:
        """Let go of all connections for good."""


class Link:
    """Runs one instance's sharing. `heard` is called with each piece of news, from the event loop, and `failed` after
    each fault of ours, which is logged."""

    def __init__(self, sharing: Sharing, store: Store) -> None:
        self.sharing = sharing
        self.heard: Callable[[News], None] = lambda news: None
        self.failed: Callable[[], None] = lambda: None
        self._store = store
        self._tasks: asyncio.TaskGroup | None = None
        self._pumping = False
        self._start_over_at: float | None = None
        self._started_over = float("-inf")

    async def run(self) -> None:
        """Share until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                self._tasks.create_task(self._read(), name="inbox")
                while True:
                    self._feed(self._tick)
                    await asyncio.sleep(TICK)
            finally:
                self._tasks = None

    def pump(self) -> None:
        """Pass on what happened, and ask what is to be asked. Call this after the machine was told something."""
        if self._pumping or self._tasks is None:
            return  # whoever pumps already goes on until nothing is left
        self._pumping = True
        try:
            while news := self.sharing.take_events():
                for one in news:
                    self._guarded(partial(self._take, one))
        finally:
            self._pumping = False
        self._guarded(self._ask)

    async def end(self) -> None:
        """Say that nobody is here any more, and that this instance goes; give up after a moment. `run` is over then."""
        sharing = self.sharing
        try:
            async with asyncio.timeout(FAREWELL):
                sharing.leave(time.monotonic())
                while requests := sharing.take_requests(time.monotonic()):
                    await asyncio.gather(*map(self._carry, requests))
                await self._store.execute(sharing.farewell())
        except (StoreError, TimeoutError) as error:
            log.info("The other instances will notice the end by the lease: %s", error)
        except Exception:
            self._fault()
        finally:
            await self._store.close()

    def _take(self, news: News) -> None:
        if isinstance(news, CircuitMoved) and news.transition.after is CircuitState.OPEN and self._tasks is not None:
            self._tasks.create_task(self._reset(), name="store-reset")
        self.heard(news)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._start_over_at is not None and now >= self._start_over_at:
            self._start_over_at, self._started_over = None, now
            self.sharing.start_over(now)
        self.sharing.tick(now)

    def _ask(self) -> None:
        if self._tasks is not None:
            for pending in self.sharing.take_requests(time.monotonic()):
                self._tasks.create_task(self._carry(pending), name=f"store-{type(pending.request).__name__}")

    async def _carry(self, pending: Pending) -> None:
        try:
            reply = await self._store.execute(pending.request)
        except StoreError as error:
            log.debug("The store failed at %s: %s", type(pending.request).__name__, error)
            failure = error
        except Exception as error:
            self._fault()
            failure = StoreError("error", str(error))
        else:
            self._feed(partial(self.sharing.answered, pending.id, reply, time.monotonic()))
            return
        self._feed(partial(self.sharing.failed, pending.id, failure, time.monotonic()))

    async def _read(self) -> None:
        failures = 0  # in a row
        while True:
            if not self.sharing.listens:
                failures = 0
                await asyncio.sleep(PAUSE)
                continue
            try:
                notes = await self._store.receive(self.sharing.record.node, BLOCK)
            except StoreError as error:
                self.sharing.counts["inbox_failures"] += 1
                failures += 1
                if failures == TELL_AFTER:  # when Redis is away, the circuit is open by now, and says so
                    log.warning("What other instances say cannot be read from Redis: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            except Exception:
                self._fault()
                await asyncio.sleep(PAUSE)
                continue
            failures = 0
            if notes:
                self._feed(partial(self.sharing.received, notes, time.monotonic()))

    async def _reset(self) -> None:
        try:
            await self._store.reset()
        except Exception:
            self._fault()

    # ------------------------------------------------------------------------------------------------------- faults

    def _feed(self, act: Callable[[], None]) -> None:
        """Tell the machine something, and do what follows from it."""
        self._guarded(act)
        self.pump()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            self._fault()

    def _fault(self) -> None:
        log.exception("The sharing with other instances failed")
        if self._start_over_at is None:
            self._start_over_at = max(time.monotonic(), self._started_over + BETWEEN_STARTS)
        self.failed()
