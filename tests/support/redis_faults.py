"""The ways in which a Redis fails, each with its way back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from .redis_server import RedisServer
from .tcp_proxy import NORMAL, Faults, TcpProxy

Act = Callable[["FailingRedis"], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """`begin` makes a Redis fail, `end` lets it be well again; `seen` within so many seconds by every instance."""

    name: str
    begin: Act
    end: Act
    seen: float = 3.0


class FailingRedis:
    """A server, and the way to it. Instances are given the `url` of the way."""

    def __init__(self, server: RedisServer, way: TcpProxy, stack: AsyncExitStack) -> None:
        self.server = server
        self.way = way
        self.stack = stack

    @property
    def url(self) -> str:
        """What instances are told."""
        return self.way.url


@asynccontextmanager
async def failing_redis() -> AsyncIterator[FailingRedis]:
    """A Redis that is well until it is told to fail."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer())
        way = await stack.enter_async_context(TcpProxy(server.url))
        yield FailingRedis(server, way, stack)


# ------------------------------------------------------------------------------------------------- what can be wrong


async def _kill(redis: FailingRedis) -> None:
    await redis.server.kill()


async def _restart(redis: FailingRedis) -> None:
    await redis.server.restart(empty=True)


async def _stop(redis: FailingRedis) -> None:
    redis.server.stop()


async def _cont(redis: FailingRedis) -> None:
    redis.server.cont()


async def _mend_the_way(redis: FailingRedis) -> None:
    await redis.way.becomes(NORMAL)


def _the_way(faults: Faults) -> Act:
    async def act(redis: FailingRedis) -> None:
        await redis.way.becomes(faults)

    return act


async def _fill(redis: FailingRedis) -> None:
    await redis.server.set_maxmemory(1)


async def _empty(redis: FailingRedis) -> None:
    await redis.server.set_maxmemory(0)


async def _demote(redis: FailingRedis) -> None:
    other = await redis.stack.enter_async_context(RedisServer())
    await redis.server.replica_of(other)


async def _promote(redis: FailingRedis) -> None:
    await redis.server.promote()


async def _lock(redis: FailingRedis) -> None:
    await redis.server.set_password("another")
    await redis.server.kill_clients()


async def _unlock(redis: FailingRedis) -> None:
    await redis.server.set_password("")


KILLED = Fault("killed", _kill, _restart)
HUNG = Fault("hung", _stop, _cont)
BLACK_HOLED = Fault("black-holed", _the_way(Faults(black_hole=True)), _mend_the_way)
SLOW = Fault("slowed by 2 s", _the_way(Faults(latency=1.0)), _mend_the_way, seen=10.0)  # there and back
FULL = Fault("out of memory", _fill, _empty)
DEMOTED = Fault("demoted to replica", _demote, _promote)
LOCKED = Fault("refusing the password", _lock, _unlock)
ABSENT = Fault("absent at start", _kill, _restart)

FAULTS = (KILLED, HUNG, BLACK_HOLED, SLOW, FULL, DEMOTED, LOCKED, ABSENT)
