"""Whatever becomes of Redis, the calls of an instance do not notice.

Each way to fail has a Redis and an instance of its own; they fail side by side, and beside them runs an instance whose
Redis is well, for comparison: the machine is no quieter for one of them than for the others.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles

import pytest

from loadtest.owner import Owner
from tests.support.cluster import circuit, instance, on_a_fast_loop
from tests.support.media_room import Delivery, MediaRoom, media_room
from tests.support.people import People, Person, people
from tests.support.redis_faults import ABSENT, FAULTS, FailingRedis, Fault, failing_redis
from tests.support.server import RunningServer

pytestmark = pytest.mark.alone

PINGS_EVERY = 0.04  # seconds
JOINS_EVERY = 0.3
CONTROL = 3.0  # seconds in which all is well, before and after
FAULTY = 6.0
BACK_WITHIN = 10.0
MEDIAN_MARGIN = 0.005  # seconds that a reply may take longer than where Redis is well
P99_MARGIN = 0.050


@dataclass
class Case:
    """One instance under one fault, or under none. Times are monotonic seconds."""

    name: str
    fault: Fault | None
    redis: FailingRedis
    server: RunningServer
    witness: Person
    media: MediaRoom
    pings: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    joins: list[tuple[float, float]] = field(default_factory=list)
    began: float = 0.0
    told: float = 0.0
    recovered: float = 0.0
    delivery: Delivery | None = None

    async def ping(self) -> None:
        """Ask again and again how long an answer takes."""
        while True:
            self.pings.append((time.monotonic(), await self.witness.seconds_for("ping")))
            await asyncio.sleep(PINGS_EVERY)

    async def join(self, crowd: People) -> None:
        """Come and go, as others would."""
        number = 0
        while True:
            number += 1
            guest = await crowd.come(self.server.websocket_url, f"guest-{number}")
            self.joins.append((time.monotonic(), guest.stay.joined_in))
            await guest.leave()
            await asyncio.sleep(JOINS_EVERY)

    async def suffer(self) -> None:
        """Let the fault come and go."""
        assert self.fault is not None
        if self.fault is not ABSENT:
            self.began = time.monotonic()
            await self.fault.begin(self.redis)
            self.told, _ = await self.witness.told("degraded", FAULTY, since=self.began)
            assert await circuit(self.server) in ("open", "half_open")
        await asyncio.sleep(max(0.0, self.began + FAULTY - time.monotonic()))
        await self.fault.end(self.redis)
        ended = time.monotonic()
        self.recovered = (await self.witness.told("recovered", BACK_WITHIN, since=ended))[0] - ended
        assert await circuit(self.server) == "closed"


@dataclass(frozen=True)
class Speed:
    """How long replies took, in seconds."""

    samples: list[float]

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def p99(self) -> float:
        return quantiles(self.samples, n=100, method="inclusive")[98]

    def is_as_good_as(self, control: Speed) -> bool:
        return self.median <= control.median + MEDIAN_MARGIN and self.p99 <= control.p99 + P99_MARGIN

    def __str__(self) -> str:
        return f"median {1000 * self.median:.1f} ms, p99 {1000 * self.p99:.1f} ms of {len(self.samples)}"


def since(begin: float, *samples: list[tuple[float, float]]) -> Speed:
    return Speed([seconds for some in samples for at, seconds in some if at >= begin])


async def case(fault: Fault | None, together: asyncio.Barrier) -> Case:
    """An instance with its own Redis, two who talk, and a witness; all cases begin, fail and end together."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(failing_redis())
        if fault is ABSENT:
            await fault.begin(redis)
        server = await stack.enter_async_context(instance(redis.url))
        crowd = await stack.enter_async_context(people())
        began = time.monotonic()
        witness = await crowd.come(server.websocket_url, "witness")
        media = await stack.enter_async_context(media_room(server.websocket_url, "lab"))
        one = Case(fault.name if fault else "well", fault, redis, server, witness, media, began=began)
        if fault is ABSENT:
            await witness.until(lambda: witness.stay.degraded, 10.0, "an outage that was there before")
            one.told, _ = witness.stay.first("degraded") or (began, {})
        else:
            await witness.until(lambda: not witness.stay.degraded, 10.0, "Redis")
        await together.wait()
        async with Owner() as owner:
            media.begin()
            owner.start(one.ping())
            owner.start(one.join(crowd))
            await asyncio.sleep(CONTROL)
            await together.wait()
            if fault is not None:
                await one.suffer()
            await together.wait()
            one.delivery = await media.end()
        await together.wait()
        return one


async def play() -> list[Case]:
    faults = (None, *FAULTS)
    together = asyncio.Barrier(len(faults))
    gc.freeze()  # a full collection would stop the media of all peers at once
    async with asyncio.TaskGroup() as tasks:
        cases = [tasks.create_task(case(fault, together)) for fault in faults]
    gc.unfreeze()
    return [one.result() for one in cases]


@pytest.mark.timeout(120)
def test_no_call_notices_what_becomes_of_redis() -> None:
    well, *failing = on_a_fast_loop(play())
    begin = max(one.began for one in failing)
    # The machine is as busy for one as for another at the same time, and at no other time. So where Redis fails is
    # compared with where it is well, and each fault, of which there are fewer samples, with all the others.
    pings, joins = since(begin, well.pings), since(begin, well.joins)
    print(f"\nwell: ping {pings}; join {joins}")
    slow = []
    for one in failing:
        ping, join = since(begin, one.pings), since(begin, one.joins)
        print(
            f"{one.name}: told after {one.told - one.began:.2f} s, recovered {one.recovered:.2f} s after its end, "
            f"{one.delivery}; ping {ping}; join {join}"
        )
        others = [other for other in (well, *failing) if other is not one]
        if not ping.is_as_good_as(since(begin, *(other.pings for other in others))):
            slow.append(f"pings, {one.name}")
        if not join.is_as_good_as(since(begin, *(other.joins for other in others))):
            slow.append(f"joins, {one.name}")
    if not since(begin, *(one.pings for one in failing)).is_as_good_as(pings):
        slow.append("pings")
    if not since(begin, *(one.joins for one in failing)).is_as_good_as(joins):
        slow.append("joins")
    assert [one.name for one in failing if one.told - one.began > (one.fault or ABSENT).seen] == []
    assert [one.name for one in (well, *failing) if one.delivery is None or not one.delivery.is_perfect] == []
    assert slow == [], "these took longer than where Redis is well"
    # Nobody was turned away, or heard of anything but the outage and its end.
    assert min(len(one.joins) for one in failing) > 10
    for one in failing:
        told = one.witness.stay.counts()
        assert (told["degraded"], told["recovered"], told["room"], told["migrate"]) == (1, 1, 0, 0), (one.name, told)
    assert well.witness.stay.counts()["degraded"] == 0
