"""The Redis of the tests is a real one, and fails in the ways that it is told to."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.support.waiting import in_time

from .redis_cluster import RedisCluster
from .redis_sentinel import RedisSentinel
from .redis_server import RedisServer, redis_server
from .resp import RespError, ask
from .waiting import eventually


async def test_a_killed_server_comes_back_on_its_port_empty() -> None:
    async with redis_server() as redis:
        await redis.command("SET", "key", "value")
        assert await redis.command("GET", "key") == "value"
        await redis.kill()
        with pytest.raises(ConnectionRefusedError):
            await redis.command("PING")
        await redis.restart()
        assert await redis.command("GET", "key") is None


async def test_a_restart_that_is_not_empty_keeps_everything() -> None:
    async with redis_server() as redis:
        await redis.command("SET", "key", "value")
        before = redis.pid
        await redis.restart(empty=False)
        assert redis.pid != before
        assert await redis.command("GET", "key") == "value"
        await redis.restart()
        assert await redis.command("GET", "key") is None


async def test_a_stopped_server_is_silent_until_it_goes_on() -> None:
    async with redis_server() as redis:
        redis.stop()
        with pytest.raises(TimeoutError):
            await redis.command("PING", within=0.2)
        redis.cont()
        assert await redis.command("PING") == "PONG"


async def test_no_process_is_left_even_if_the_test_fails_while_the_server_is_stopped() -> None:
    pids = []

    async def fails() -> None:
        async with redis_server() as redis:
            pids.append(redis.pid)
            redis.stop()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_a_full_server_refuses_writes_and_still_answers_pings() -> None:
    async with redis_server() as redis:
        await redis.set_maxmemory(1)
        with pytest.raises(RespError, match=r"^OOM"):
            await redis.command("SET", "key", "value")
        assert await redis.command("PING") == "PONG"
        await redis.set_maxmemory(0)
        assert await redis.command("SET", "key", "value") == "OK"


async def test_a_password_shuts_out_who_does_not_know_it_also_after_a_restart() -> None:
    async with redis_server() as redis:
        await redis.set_password("hush")
        assert ":hush@" in redis.url
        await redis.restart()
        assert await redis.command("PING") == "PONG"
        with pytest.raises(RespError, match=r"^NOAUTH"):
            await ask(redis.port, "PING")
        with pytest.raises(RespError, match=r"^WRONGPASS"):
            await ask(redis.port, "PING", password="wrong")


async def test_a_replica_has_what_its_master_has_and_refuses_writes_until_it_is_promoted() -> None:
    async with redis_server() as master, redis_server() as replica:
        await master.command("SET", "key", "value")
        await replica.replica_of(master)
        assert await replica.command("GET", "key") == "value"
        with pytest.raises(RespError, match=r"^READONLY"):
            await replica.command("SET", "key", "other")
        await replica.promote()
        assert await replica.command("SET", "key", "other") == "OK"


async def test_the_connections_of_clients_can_be_closed() -> None:
    async with redis_server() as redis:
        reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
        writer.write(b"XREAD BLOCK 0 STREAMS inbox $\r\n")

        async def waits() -> bool:
            return "cmd=xread" in str(await redis.command("CLIENT", "LIST"))

        await eventually(waits)
        await redis.kill_clients()
        assert await in_time(reader.read(), 2) == b""
        writer.close()
        assert await redis.command("PING") == "PONG"


@pytest.mark.parametrize("planned", [True, False], ids=["planned", "after a crash"])
async def test_sentinels_make_the_replica_the_master(planned: bool) -> None:
    async with RedisSentinel() as sentinel:
        await sentinel.master.command("SET", "key", "value")
        await sentinel.master.command("WAIT", 1, 2000)
        old = sentinel.master
        new = await sentinel.failover(planned)
        assert new is sentinel.master is not old
        assert await new.command("GET", "key") == "value"
        assert await new.command("SET", "key", "other") == "OK"


async def test_a_cluster_spreads_keys_and_is_down_without_one_of_its_nodes() -> None:
    async with RedisCluster() as cluster:
        one: RedisServer = await cluster.holder("{tea}:nodes")
        assert await one.command("SET", "{tea}:nodes", "value") == "OK"
        other = next(node for node in cluster.nodes if node is not one)
        with pytest.raises(RespError, match=r"^MOVED"):
            await other.command("GET", "{tea}:nodes")
        await one.kill()

        async def is_down() -> bool:
            with pytest.raises(RespError) as refusal:  # MOVED to where nobody is, until that is noticed
                await other.command("SET", "{tea}:nodes", "value")
            return str(refusal.value).startswith("CLUSTERDOWN")

        await eventually(is_down, within=10)
        await one.restart()
        await cluster.settles()
