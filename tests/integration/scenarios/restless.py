"""A Redis that comes and goes, resets connections, or forgets everything: people hear next to nothing of it.

However restless it is, an instance changes its mode no faster than people can follow, nobody is said to have left who
did not, and no reply waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import quantiles

from loadtest.owner import Owner
from tests.support.cluster import instances, meet, stored_rooms
from tests.support.people import People, Person, people
from tests.support.redis_faults import BLACK_HOLED, FailingRedis, failing_redis
from tests.support.redis_server import redis_server
from tests.support.tcp_proxy import NORMAL, Faults
from tests.support.waiting import eventually

SHORTEST_STAY = 5.0  # seconds
TOLERANCE = 0.3  # of the way that news takes
FLAPS_EVERY = 5.0
RESET_SHARE = 0.3
REPLIES_WITHIN = 0.1  # seconds, of 99 in 100: if replies waited for Redis, one in ten would take half a second
ANNOUNCED_WITHIN = 5.0


async def asks(person: Person, replies: list[float]) -> None:
    """Ask again and again; how long each reply took goes into `replies`."""
    while True:
        replies.append(await person.seconds_for("ping"))
        await asyncio.sleep(0.1)


def mode_changes(person: Person, since: float) -> list[float]:
    """When a client was told that the sharing ended or began."""
    return [at for at, message in person.stay.heard if at >= since and message["type"] in ("degraded", "recovered")]


def is_calm(changes: Sequence[float]) -> bool:
    return all(later - earlier >= SHORTEST_STAY - TOLERANCE for earlier, later in pairwise(changes))


async def four_in_a_room(crowd: People, urls: Sequence[str], room: str = "lab") -> list[Person]:
    """Two at each of two instances, who see each other, and who cannot get to the other one."""
    names = [f"{name}-{room}" for name in ("ada", "abe", "bea", "bob")]
    found = [await crowd.come(urls[number // 2], name, room, follows=False) for number, name in enumerate(names)]
    for one in found:
        await one.sees(*names)
    return found


async def flap(redis: FailingRedis, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await BLACK_HOLED.begin(redis)
        await asyncio.sleep(FLAPS_EVERY)
        await BLACK_HOLED.end(redis)
        await asyncio.sleep(FLAPS_EVERY)


async def reset_some(redis: FailingRedis, seconds: float) -> None:
    """Of all connections, those that are there and those that are made, such a share is reset, again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await redis.way.becomes(Faults(reset_share=RESET_SHARE))
        await asyncio.sleep(0.5)
    await redis.way.becomes(NORMAL)


async def restless(what: str, seconds: float) -> str:
    """Two instances at a Redis that does not come to rest."""
    async with failing_redis() as redis, instances(redis.url, redis.url) as servers, people() as crowd:
        room = await four_in_a_room(crowd, [server.websocket_url for server in servers])
        names = [one.identity for one in room]
        replies: list[float] = []
        began = time.monotonic()
        async with Owner() as owner:
            for one in room:
                owner.start(asks(one, replies))
            await (flap if what == "flapping" else reset_some)(redis, seconds)
        resets = redis.way.resets
        changes = [mode_changes(one, began) for one in room]
        unasked = [one.stay.counts(since=began) for one in room]
        assert all(is_calm(each) for each in changes), changes
        slow = quantiles(replies, n=100, method="inclusive")[98]
        assert slow <= REPLIES_WITHIN, sorted(replies)[-50:]
        # Nobody is said to have left, and besides the changes of mode there is one snapshot for each return.
        for one, moved, told in zip(room, changes, unasked, strict=True):  # each instance moves by itself
            assert told["participant_left"] == 0, (one, told)
            assert told["room"] <= told["recovered"], (one, told)
            assert sum(told.values()) <= 3 * len(moved) + 4, (one, told)
        # When it comes to rest, all are together again, as soon as the minimum stay allows that.
        for one in room:
            await one.until(lambda one=one: not one.stay.degraded and one.stay.people == sorted(names), 65.0)
        return (
            f"{what} for {seconds:g} s: {max(map(len, changes))} changes of mode, at most "
            f"{max(sum(told.values()) for told in unasked)} messages per client; "
            f"of {len(replies)} replies 99 in 100 took up to {1000 * slow:.0f} ms, all {1000 * max(replies):.0f} ms; "
            f"{resets} resets"
        )


async def come_and_go(crowd: People, url: str, room: str, number: int, over: asyncio.Event) -> None:
    visits = 0
    while not over.is_set():
        visits += 1
        guest = await crowd.come(url, f"guest-{number}-{visits}", room)
        await asyncio.sleep(0.2)
        await guest.leave()


async def forgetful(rooms: int = 5, times: int = 2) -> str:
    """Redis forgets everything while people come and go in several rooms."""
    async with redis_server() as redis, instances(redis.url, redis.url) as servers, people() as crowd:
        urls = [server.websocket_url for server in servers]
        steady = {f"room-{n}": await four_in_a_room(crowd, urls, f"room-{n}") for n in range(rooms)}
        everybody = {one.identity for people in steady.values() for one in people}
        began = time.monotonic()
        took = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number, room in enumerate(steady):
                tasks.create_task(come_and_go(crowd, urls[number % 2], room, number, over))
            for _ in range(times):
                await asyncio.sleep(2.0)
                await redis.flushall()
                flushed = time.monotonic()

                async def all_are_stored() -> bool:
                    found = await stored_rooms(redis)
                    stored = {name for slices in found.values() for names in slices.values() for name in names}
                    return everybody <= stored

                await eventually(all_are_stored, ANNOUNCED_WITHIN, every=0.05)
                took.append(time.monotonic() - flushed)
            over.set()
        await meet(*servers)
        for people_of_room in steady.values():
            ids = {one.stay.participant for one in people_of_room}
            for one in people_of_room:
                await one.sees(*(other.identity for other in people_of_room))
                for at, message in one.stay.heard:
                    if at >= began and message["type"] in ("participant_joined", "participant_left"):
                        whom = message["participant"]
                        assert (whom if isinstance(whom, str) else whom["id"]) not in ids, (one, message)
                told = one.stay.counts(since=began)
                assert (told["degraded"], told["room"]) == (0, 0), (one, told)
        return f"flushed {times} times: all announced anew after {', '.join(f'{one:.1f} s' for one in took)}"
