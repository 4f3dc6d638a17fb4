"""Many handshakes take turns, and one room leaves turns to the others."""

from __future__ import annotations

import asyncio

from sfu.counters import Counters
from sfu.handshakes import MOST, MOST_PER_ROOM, Handshakes


async def test_a_room_full_of_half_open_handshakes_leaves_turns_to_others() -> None:
    counters = Counters()
    handshakes, end = Handshakes(counters), asyncio.Event()
    running: list[str] = []

    async def shake(room: str) -> None:
        async with handshakes.turn(room):
            running.append(room)
            await end.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(shake("hostile"))
        await asyncio.sleep(0)
        assert running == ["hostile"] * MOST_PER_ROOM
        tasks.create_task(shake("other"))
        await asyncio.sleep(0)
        assert running[-1] == "other"
        for room in range(100):
            tasks.create_task(shake(f"room {room}"))
        await asyncio.sleep(0)
        assert len(running) == handshakes.running == MOST
        assert counters.refused["handshake_delayed"] >= 200 - MOST_PER_ROOM
        end.set()
    assert len(running) == 301
    assert handshakes.running == 0
    assert handshakes._rooms == {}
