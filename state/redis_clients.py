"""Connections to Redis: one server, the master that sentinels name, or a cluster, each without any retries of its own.

redis-py tries a command eleven times by default, which takes a minute with a server that hangs, and may carry it out
twice. Here nothing is tried again; deadlines are those of who asks (redis_store.py).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from .redis_commands import Command
from .redis_url import Host, RedisAddress


class Client(ABC):
    """Some connections to Redis. Methods raise what redis-py raises."""

    users = 0  # who is asking something now

    @abstractmethod
    async def command(self, command: Command) -> Any:
        """Ask one thing."""

    @abstractmethod
    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Ask several things in one round trip to each server concerned, in their order. Raises the first error.

        That a key holds something of another kind is no error, but the answer to that one command.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close all connections, also those in use."""

    @abstractmethod
    def was_silent(self) -> None:
        """Hear that an answer was not waited for any longer: what was learnt of the servers may be out of date."""


class _Pooled(Client):
    """One server, or the master that sentinels name each time a connection is made."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pool: ConnectionPool = redis.connection_pool

    async def command(self, command: Command) -> Any:
        return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return _answers(await pipeline.execute(raise_on_error=False))

    async def close(self) -> None:
        await self._pool.disconnect()

    def was_silent(self) -> None:
        pass  # nothing is learnt: a connection that is made goes to the one server, or asks the sentinels


class _Cluster(Client):
    """A cluster. Which node has what is asked before the first command: without that, redis-py sends it to any node."""

    def __init__(self, redis: RedisCluster) -> None:
        self._redis = redis
        self._outdated = False

    async def command(self, command: Command) -> Any:
        await self._learn()
        return await self._redis.execute_command(*command)

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        await self._learn()
        pipeline = self._redis.pipeline()
        for command in commands:
            pipeline.execute_command(*command)
        return _answers(await pipeline.execute(raise_on_error=False))

    async def close(self) -> None:
        await self._redis.aclose()
        # After a failure that closes nothing, and it counts only the nodes that it knows now.
        manager = self._redis.nodes_manager
        nodes = [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
        await asyncio.gather(*(node.disconnect() for node in nodes), return_exceptions=True)

    def was_silent(self) -> None:
        self._outdated = True  # of other failures redis-py knows itself that it has to ask again

    async def _learn(self) -> None:
        await self._redis.initialize()
        if self._outdated:
            await self._redis.nodes_manager.initialize()
            self._outdated = False


def _answers(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception) and not is_of_another_kind(answer):
            raise answer
    return answers


def is_of_another_kind(answer: Exception) -> bool:
    """Whether a key holds something that a command is not for: not the server is at fault, but who wrote there."""
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")


class _Sentinels(Sentinel):
    """Sentinels that are asked in turn, beginning with the one that answered last."""

    async def discover_master(self, service_name: str) -> Host:
        # redis-py reorders the list while others go through it, and so loses sentinels for good; each gets a list here.
        mine = copy(self)
        mine.sentinels = list(self.sentinels)
        address: Host = await Sentinel.discover_master(mine, service_name)
        self.sentinels = mine.sentinels
        return address


class Clients:
    """Makes clients for one address."""

    def __init__(self, address: RedisAddress, connect_timeout: float, sentinel_timeout: float) -> None:
        """`connect_timeout` in seconds; `sentinel_timeout` in seconds for connecting to one, and for its answer."""
        self._address = address
        self._options: dict[str, Any] = {
            "username": address.user,
            "password": address.password,
            "socket_timeout": None,  # who asks has a deadline
            "socket_connect_timeout": connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": True,
            "encoding_errors": "surrogateescape",  # whatever bytes are there, reading them breaks no connection
            "protocol": 2,  # no handshake, no pushed messages, so no maintenance notifications either
            "driver_info": None,
        }
        self._sentinels: _Sentinels | None = None
        if address.kind == "sentinel":
            bounds = {"socket_timeout": sentinel_timeout, "socket_connect_timeout": sentinel_timeout}
            mine = {name: self._options[name] for name in ("retry", "decode_responses", "protocol", "driver_info")}
            self._sentinels = _Sentinels(address.hosts, sentinel_kwargs={**bounds, **mine})  # type: ignore[no-untyped-call]

    def make(self, connections: int) -> Client:
        """Connections, at most so many to a server; none is made before it is needed."""
        address = self._address
        options = {**self._options, "max_connections": connections}
        if address.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            # A room that moved is followed; by default each fifth move closes all connections, also those in use.
            options["reinitialize_steps"] = 0
            return _Cluster(RedisCluster(startup_nodes=nodes, ssl=address.tls, **options))
        if self._sentinels is not None:
            return _Pooled(self._sentinels.master_for(address.service, db=address.db, ssl=address.tls, **options))
        (host, port) = address.hosts[0]
        if address.tls:
            options["connection_class"] = SSLConnection
        return _Pooled(Redis(connection_pool=ConnectionPool(host=host, port=port, db=address.db, **options)))

    async def close(self) -> None:
        """Close the connections to sentinels; those of clients that were made are theirs."""
        if self._sentinels is not None:
            await self._sentinels.aclose()
