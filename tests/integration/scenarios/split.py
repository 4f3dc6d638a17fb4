"""A room that ran alone at two instances, while these could not hear of each other, is one room again afterwards.

Everything that is decided while it is split holds on both sides in the end, and where two decisions collide, the
safer one holds. Nobody is lost, and those at the smaller side go on at the room's home.
"""

from __future__ import annotations

import asyncio
import time

from tests.support.cluster import instances, room_at
from tests.support.people import Person, people
from tests.support.redis_faults import Fault, failing_redis
from tests.support.server import RunningServer
from tests.support.waiting import eventually

SPLIT = 6.0  # seconds for which it is split at least, so that no minimum stay delays the end
ONE_AGAIN_WITHIN = 10.0
AT_HOME_WITHIN = 10.0


async def split_and_heal(fault: Fault) -> str:
    """A room with three at one instance and two at another one; returns what was measured."""
    async with failing_redis() as redis, instances(redis.url, redis.url) as (a, b), people() as crowd:
        ada = await crowd.come(a.websocket_url, "ada", admin=True)
        abe = await crowd.come(a.websocket_url, "abe")
        amy = await crowd.come(a.websocket_url, "amy")
        bea = await crowd.come(b.websocket_url, "bea", admin=True)
        bob = await crowd.come(b.websocket_url, "bob")
        for one in crowd.all:
            await one.sees("ada", "abe", "amy", "bea", "bob")
        await ada.ask("ban", identity="victor")
        await eventually(lambda: is_banned(b, "victor"))
        began = time.monotonic()
        await fault.begin(redis)
        for one in crowd.all:
            await one.told("degraded", 4.0, since=began)
        # What happens at both sides while neither hears of the other.
        await amy.leave()
        art = await crowd.come(a.websocket_url, "art")
        ben = await crowd.come(b.websocket_url, "ben")
        await ada.ask("set_metadata", metadata={"title": "from a", "only a": "1"})
        await bea.ask("set_metadata", metadata={"title": "from b", "only b": "2"})
        await ada.ask("ban", identity="mallory")
        await bea.ask("ban", identity="trudy")
        await ada.ask("ban", identity="bob")  # who is at the other side, and out of reach
        await ada.ask("unban", identity="victor")  # who is banned once more at the other side
        await bea.ask("ban", identity="victor")
        await ada.ask("lock")
        await ada.ask("unlock")
        await bea.ask("lock")
        await asyncio.sleep(max(0.0, began + SPLIT - time.monotonic()))
        await fault.end(redis)
        healed = time.monotonic()
        stayed = [ada, abe, art, bea, ben]
        names = [one.identity for one in stayed]
        for one in stayed:
            await one.sees(*names, within=ONE_AGAIN_WITHIN)
            await one.until(lambda one=one: one.stay.rules["locked"], healed + ONE_AGAIN_WITHIN - time.monotonic())
        united = time.monotonic() - healed
        assert united <= ONE_AGAIN_WITHIN
        gathered = await holds(stayed, bob, (a, b), healed)
        return f"one room again after {united:.1f} s, all at its home after {gathered:.1f} s"


async def is_banned(server: RunningServer, identity: str) -> bool:
    """Whether an instance knows of a ban."""
    room = await room_at(server, "lab")
    return room is not None and identity in room["banned"]


async def holds(
    stayed: list[Person], banned: Person, servers: tuple[RunningServer, RunningServer], healed: float
) -> float:
    """What is promised of a room that is one again; returns after how many seconds all were in one place."""
    # Everybody hears of the same room, in one piece.
    ada, *_ = stayed
    await ada.until(lambda: len(ada.stay.rules["metadata"]) == 3, 2.0)
    rules = ada.stay.rules
    assert rules["metadata"] in [{"title": title, "only a": "1", "only b": "2"} for title in ("from a", "from b")]
    for one in stayed:
        await one.until(lambda one=one: one.stay.rules == rules, 2.0, "what holds in the room")
    assert rules["locked"]
    _, goodbye = await banned.told("goodbye", 5.0, since=healed)
    assert goodbye["code"] == "banned"
    # Those at the smaller side go to where the others are.
    for one in stayed:
        await one.until(lambda one=one: one.stay.url == ada.stay.url, AT_HOME_WITHIN, "the way home")
    gathered = time.monotonic() - healed
    assert {one.identity for one in stayed if len(one.stays) > 1} == {"bea", "ben"}
    for one in stayed:
        await one.sees(*(other.identity for other in stayed))
        await one.until(lambda one=one: {who["presence"] for who in one.stay.roster.values()} == {"here"}, 5.0)
        assert one.stay.rules == rules
    # The instances say the same, once those who moved have left where they were.
    names = sorted(one.identity for one in stayed)

    async def the_same() -> bool:
        home, other = [await room_at(server, "lab") for server in servers]
        assert home is not None
        for room in (home, other):
            assert room is None or sorted(room["banned"]) == ["bob", "mallory", "trudy", "victor"]
        assert home["locked"]
        said = [sorted(one["identity"] for one in room["participants"]) if room else [] for room in (home, other)]
        return said in ([names, []], [names, names])  # one where nobody is may not know of the others

    await eventually(the_same)
    # One snapshot when it was over, and no storm: who came, left or moved is told of once or twice.
    for one in stayed:
        told = one.stays[0].counts(since=healed)
        assert told["room"] == 1, (one, told)
        assert told["participant_joined"] + told["participant_left"] <= 8, (one, told)
    return gathered
