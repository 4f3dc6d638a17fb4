"""What simulated instances ask of the store, whatever goes wrong, Redis judges as the store in memory does.

Nothing expires here: how time passes in either is tested elsewhere, and a replay does not take as long as the run did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from state.redis_store import RedisStore
from state.store import Announce, Request, WriteSlice, Written
from tests.state.test_simulation import simulate
from tests.state.test_stores_agree import apart_from_time
from tests.support.redis_server import RedisServer
from tests.support.stores import InMemory, InRedis

pytestmark = pytest.mark.asyncio(loop_scope="module")
RUNS = 50
LONG = 3600.0  # seconds


def long_lived(request: Request) -> Request:
    """The same request for something that does not expire."""
    match request:
        case Announce():
            return replace(request, lease=LONG)
        case WriteSlice():
            return replace(request, life=LONG)
    return request


@pytest.mark.timeout(180)
async def test_redis_judges_what_simulated_instances_ask(
    lasting_server: RedisServer, lasting_store: RedisStore
) -> None:
    statuses: Counter[str] = Counter()
    fenced = 0
    for seed in range(RUNS):
        await lasting_server.flushall()
        memory, scripts = InMemory(), InRedis(lasting_store)
        nodes = set()
        for number, asked in enumerate(simulate(seed, record=True).requests):
            if asked is None:
                await lasting_server.flushall()
                memory = InMemory()
                continue
            request = long_lived(asked)
            expected, found = await memory.execute(request), await scripts.execute(request)
            assert apart_from_time(found) == apart_from_time(expected), f"SEED={seed}, request {number}: {request}"
            if isinstance(request, Announce):
                nodes.add(request.record.node)
                fenced += bool(getattr(found, "fenced", False))
            elif isinstance(found, Written):
                statuses[found.status] += 1
        for node in sorted(nodes):
            assert await scripts.take(node) == await memory.take(node), f"SEED={seed}: the inbox of {node}"
    print(dict(statuses), f"{fenced} announcements fenced")
    assert statuses.keys() >= {"applied", "stale", "behind"}
    assert fenced
