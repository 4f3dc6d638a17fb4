"""How fast the store in Redis is: `python -m tests.support.redis_speed` prints it for a server on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .redis_server import redis_server
from .stores import announce, fetch, post, redis_store, write

MEMBER = (
    '{"id":"p-0123456789","identity":"ada","name":"Ada Lovelace","joined":1,"tracks":[["t1","video","camera",false]]}'
)
TIMES = 5000
TOGETHER = 16  # requests at once
NODES = 3  # instances in each room


async def measure(what: str, ask: Callable[[int], Awaitable[object]], together: int = 1) -> None:
    """Ask `TIMES` times, `together` at once, and print the rate and our own CPU time."""
    began, used = time.perf_counter(), time.process_time()
    for first in range(0, TIMES, together):
        if together == 1:
            await ask(first)
        else:
            await asyncio.gather(*(ask(number) for number in range(first, min(TIMES, first + together))))
    took, cpu = time.perf_counter() - began, time.process_time() - used
    print(f"{what:45} {TIMES / took:8.0f} /s {cpu / TIMES * 1e6:8.0f} µs of our CPU each")


async def main() -> None:
    """Measure each kind of request."""
    async with redis_server() as server, redis_store(server.url, timeout=30.0, prober_timeout=30.0) as store:
        for node in range(NODES):
            await announce(store, f"n{node}")
            for room in range(TOGETHER):
                await write(
                    store, (1, 0), {f"p:{number}": MEMBER for number in range(10)}, node=f"n{node}", room=str(room)
                )

        async def change(number: int) -> None:
            room, seq = str(number % TOGETHER), number // TOGETHER
            written = await write(store, (1, seq + 1), {"p:1": MEMBER}, (1, seq), node="n0", room=room)
            assert written.status == "applied"

        async def renew(number: int) -> None:
            room = str(number % TOGETHER)
            assert (await write(store, (1, 0), {}, (1, 0), node="n1", room=room)).status == "applied"

        notes = [(f"n{number % 8}", MEMBER) for number in range(64)]
        await measure("WriteSlice, one after the other", change)
        await measure(f"WriteSlice (renewal), {TOGETHER} at once", renew, TOGETHER)
        await measure("Announce", lambda _: announce(store, "n0"))
        await measure("FetchSlices of 3", lambda number: fetch(store, "n0", "n1", "n2", room=str(number % TOGETHER)))
        await measure("Post of 1 note", lambda _: post(store, ("n0", MEMBER)))
        await measure("Post of 64 notes to 8 inboxes", lambda _: post(store, *notes))
        stats = await server.info("commandstats")
        print("the server's own time:", *(f"{name} {text}" for name, text in stats.items() if "evalsha" in name))


if __name__ == "__main__":
    asyncio.run(main())
