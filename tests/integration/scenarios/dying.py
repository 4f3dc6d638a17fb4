"""What becomes of the people of an instance that dies, or that stands still, in the eyes of all others.

An instance that was killed takes its people along, and that is seen within 20 seconds. One that stood still comes back
to a cluster that buried it: its people are in the room again, once each, and they see the room as it is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.support.cluster import instances, meet, room_at, stored_rooms
from tests.support.people import people
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually

GONE_WITHIN = 20.0
BACK_WITHIN = 10.0
PINGS = 2.0  # seconds between two pings of the WebSocket


async def killed() -> str:
    """An instance gets no chance to say goodbye."""
    async with (
        redis_server() as redis,
        instances(redis.url, redis.url) as (a, b),
        people() as left,
        people() as lost,
    ):
        ada, abe = [await left.come(a.websocket_url, name) for name in ("ada", "abe")]
        bob, ben = [await lost.come(b.websocket_url, name) for name in ("bob", "ben")]
        cleo = await lost.come(b.websocket_url, "cleo", "side room")
        for one in (ada, abe, bob, ben):
            await one.sees("ada", "abe", "bob", "ben")
        assert cleo.stay.people == ["cleo"]
        began = time.monotonic()
        os.kill(b.pid, signal.SIGKILL)
        for one in (ada, abe):
            await one.sees("ada", "abe", within=GONE_WITHIN)
        gone = time.monotonic() - began
        # They left once each, nothing else was said, and there is a place for them where the others are.
        assert (ada.stay.counts(began), ada.stay.counts(began)) == ({"participant_left": 2}, {"participant_left": 2})
        back = await left.come(a.websocket_url, "bob", stay=False)
        await ada.sees("ada", "abe", "bob")
        await back.sees("ada", "abe", "bob")
        await meet(a)
        return f"killed: its people left after {gone:.1f} s"


async def stopped(seconds: float) -> str:
    """An instance stands still for longer than its lease, and goes on."""
    async with (
        redis_server() as redis,
        instances(redis.url, redis.url, ping_interval=PINGS) as (a, b),
        people() as crowd,
    ):
        ada, abe, amy = [await crowd.come(a.websocket_url, name) for name in ("ada", "abe", "amy")]
        bob = await crowd.come(b.websocket_url, "bob", admin=True)
        for one in crowd.all:
            await one.sees("ada", "abe", "amy", "bob")
        os.kill(b.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for one in (ada, abe, amy):
                await one.sees("ada", "abe", "amy", within=GONE_WITHIN)
            gone = time.monotonic() - began
            # Meanwhile one of them goes, another comes, and the door is locked.
            await amy.leave()
            art = await crowd.come(a.websocket_url, "art", admin=True)
            await art.ask("set_metadata", metadata={"title": "while you slept"})
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        finally:
            os.kill(b.pid, signal.SIGCONT)
        woke = time.monotonic()
        if bob.stay.is_lost:  # its client gave the socket up; it comes back, as clients do
            await bob.resume()
        for one in (ada, abe, art, bob):
            await one.sees("ada", "abe", "art", "bob", within=BACK_WITHIN)
        await bob.until(lambda: bob.stay.rules["metadata"] == {"title": "while you slept"}, 5.0)
        back = time.monotonic() - woke
        await meet(a, b)

        async def no_ghosts() -> bool:
            """Neither in what the instances say nor in Redis, once all are where they want to be."""
            said = [room["participants"] for server in (a, b) if (room := await room_at(server, "lab"))]
            stored = (await stored_rooms(redis))["lab"].values()
            found = [[one["identity"] for one in people] for people in said] + [
                [one for slice in stored for one in slice]
            ]
            return all(sorted(names) == ["abe", "ada", "art", "bob"] for names in found)

        await eventually(no_ghosts)
        told = ada.stay.counts(since=woke)
        assert told["participant_joined"] <= 3, told  # `bob`, elsewhere, known again, or here
        return f"stopped for {seconds:g} s: its people left after {gone:.1f} s, were back {back:.1f} s after it went on"
