"""A real Redis Cluster of three masters, in which every key lives on one of them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

from .ports import free_port
from .redis_server import RedisServer
from .waiting import eventually

SLOTS = 16_384
NODE_TIMEOUT = 1000  # milliseconds of silence after which the others call a node failed
SETTLES_WITHIN = 30.0


class RedisCluster:
    """Three `nodes` on 127.0.0.1; without one of them the cluster refuses all commands (CLUSTERDOWN)."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.nodes = [await stack.enter_async_context(_node()) for _ in range(3)]
            for number, node in enumerate(self.nodes):
                first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
                await node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            for node in self.nodes[1:]:
                bus = self.nodes[0].config["cluster-port"]
                await node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, bus)
            await self.settles()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where a client may begin; each node tells it about the others."""
        return self.nodes[0].url

    async def settles(self) -> None:
        """Wait until every node says that the cluster is whole."""
        await eventually(self._is_whole, SETTLES_WITHIN)

    async def holder(self, key: str) -> RedisServer:
        """The node that holds `key`."""
        slot = await self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        assert isinstance(slot, int)
        return self.nodes[min(number for number in range(3) if slot < (number + 1) * SLOTS // 3)]

    async def _is_whole(self) -> bool:
        for node in self.nodes:
            text = await node.command("CLUSTER", "INFO")
            assert isinstance(text, str)
            told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            if (told["cluster_state"], told["cluster_known_nodes"], told["cluster_slots_ok"]) != (
                "ok",
                "3",
                str(SLOTS),
            ):
                return False
        return True


def _node() -> RedisServer:
    return RedisServer(
        {
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT,
            "cluster-port": free_port(),
            "cluster-config-file": "nodes.conf",
        }
    )
