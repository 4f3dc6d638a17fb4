"""A real Redis with a replica and three sentinels, which replace a master that is away."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

from .redis_server import RedisServer
from .waiting import eventually

SENTINELS = 3
QUORUM = 2
DOWN_AFTER = 1000  # milliseconds
FAILOVER_TIMEOUT = 3000  # milliseconds
SETTLES_WITHIN = 30.0


class RedisSentinel:
    """`master` and `replica` as they are now, and the `sentinels` that watch them, all on 127.0.0.1.

    `name` is what clients ask the sentinels for.
    """

    name = "auralink"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.master = await stack.enter_async_context(RedisServer())
            self.replica = await stack.enter_async_context(RedisServer())
            await self.replica.replica_of(self.master)
            self.sentinels = [await stack.enter_async_context(RedisServer(mode="--sentinel")) for _ in range(SENTINELS)]
            for sentinel in self.sentinels:
                await sentinel.command("SENTINEL", "MONITOR", self.name, "127.0.0.1", self.master.port, QUORUM)
                for option, value in (("down-after-milliseconds", DOWN_AFTER), ("failover-timeout", FAILOVER_TIMEOUT)):
                    await sentinel.command("SENTINEL", "SET", self.name, option, value)
            await eventually(self._all_know_all, SETTLES_WITHIN)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sentinels are."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    async def failover(self, planned: bool = False) -> RedisServer:
        """Make the replica the master, and return when all sentinels say so and it takes writes.

        Unless that is `planned`, the master is killed, and the sentinels have to find out themselves. It is then
        `replica`, and down; after a `restart` they let it follow the new master.
        """
        if planned:
            await self.sentinels[0].command("SENTINEL", "FAILOVER", self.name)
        else:
            await self.master.kill()
        return await self.elects()

    async def elects(self) -> RedisServer:
        """Wait until the sentinels have made the replica the master, whatever was done to the old one."""
        self.master, self.replica = self.replica, self.master
        await eventually(self._all_agree, SETTLES_WITHIN)
        return self.master

    async def _all_agree(self) -> bool:
        try:
            if (await self.master.info("replication"))["role"] != "master":
                return False
        except OSError:  # it drops its clients when its role changes
            return False
        named = [await each.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name) for each in self.sentinels]
        return all(address == ["127.0.0.1", str(self.master.port)] for address in named)

    async def _all_know_all(self) -> bool:
        """Whether each sentinel has found the replica and the other sentinels, as a fail-over takes."""
        for sentinel in self.sentinels:
            fields = await sentinel.command("SENTINEL", "MASTER", self.name)
            assert isinstance(fields, list)
            known = dict(zip(fields[::2], fields[1::2], strict=True))
            if known["num-slaves"] != "1" or known["num-other-sentinels"] != str(SENTINELS - 1):
                return False
            if await sentinel.command("SENTINEL", "CKQUORUM", self.name) is None:
                return False
        return True
