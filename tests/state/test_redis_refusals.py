"""When Redis is there but does not do what it is asked, the store says why, and goes on when that is over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from state.model import NodeId
from state.redis_store import RedisStore
from state.store import StoreError
from tests.support import certificates
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.stores import (
    announce,
    each_reason,
    failure,
    fetch,
    post,
    reason,
    redis_store,
    soon_works,
    works,
    write,
)


async def test_a_server_that_is_full_refuses_every_write_whole(server: RedisServer, store: RedisStore) -> None:
    await announce(store, "a")
    await write(store, (1, 1), {"x": "1"})
    await write(store, (1, 1), {"x": "1"}, node="short", life=0.05)
    await asyncio.sleep(0.1)  # something may be pruned: that must not make room for a part of a write
    await server.set_maxmemory(1)
    assert await each_reason(store) == {"full"}
    for version, base in (((1, 2), None), ((1, 2), (1, 1)), ((1, 1), (1, 1))):
        assert await reason(write(store, version, {"x": "2"}, base)) == "full"
    assert await fetch(store, "a") == {"a": ((1, 1), {"x": "1"})}
    await server.set_maxmemory(0)
    await works(store)


async def test_a_replica_is_read_only_and_its_connections_are_dropped(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    async with redis_server() as master:
        await server.replica_of(master)
        before = await server.command("CLIENT", "LIST", "TYPE", "normal")
        assert await each_reason(store) == {"read_only"}
        after = await server.command("CLIENT", "LIST", "TYPE", "normal")
        assert isinstance(before, str)
        assert isinstance(after, str)
        assert before.count("auralink") == after.count("auralink")
        # Only the one that waits for notes is left: it may read.
        assert len(after.splitlines()) - 1 == 1
        await server.promote()
        await works(store)


async def test_a_server_that_reads_what_it_had_is_loading() -> None:
    slow = {"key_load_delay": 20_000, "loading_process_events_interval_bytes": 1024}  # microseconds for each key
    async with redis_server(**slow) as server, redis_store(server.url) as store:
        for number in range(100):
            await write(store, (1, 1), {"x": "1" * 1000}, room=str(number))
        async with asyncio.TaskGroup() as tasks:
            back = tasks.create_task(server.restart(empty=False))
            seen: set[str] = set()
            while not back.done():
                try:
                    await announce(store, "a")
                except StoreError as error:
                    seen.add(error.reason)
                await asyncio.sleep(0.02)
        assert "loading" in seen
        await store.reset()
        await works(store)


@pytest.mark.parametrize("user", ["", "auralink"])
async def test_a_wrong_password_lasts_and_is_told_to_nobody(server: RedisServer, user: str) -> None:
    await server.command("ACL", "SETUSER", "auralink", "on", ">right", "~*", "+@all")
    await server.set_password("right")
    address = server.url.split("@")[1]
    for credentials in (f"{user}:hunter2@", "") if not user else (f"{user}:hunter2@",):
        async with redis_store(f"redis://{credentials}{address}") as store:
            for asking in (
                write(store, (1, 1), {}),
                announce(store, "a"),
                post(store, ("a", "1")),
                store.receive(NodeId("a"), 0),
            ):
                error = await failure(asking)
                assert (error.reason, error.lasting, error.ours) == ("denied", True, False)
                assert "hunter2" not in f"{error!r} {error} {error.__cause__!r} {error.__cause__}"
    async with redis_store(f"redis://{user}:right@{address}") as store:
        await works(store)


async def test_who_may_not_run_scripts_is_denied(server: RedisServer) -> None:
    await server.command("ACL", "SETUSER", "reader", "on", ">right", "~*", "+@read")
    async with redis_store(server.url.replace("redis://", "redis://reader:right@")) as store:
        assert (await failure(announce(store, "a"))).lasting


async def test_a_server_with_too_many_clients_says_so(server: RedisServer, store: RedisStore) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"CONFIG SET maxclients 1\r\n")
    assert await reader.readline() == b"+OK\r\n"
    # It says so and closes before it has read what it was asked: sometimes only a reset arrives.
    seen = {await reason(announce(store, "a")) for _ in range(20)}
    assert "too_many_clients" in seen
    assert seen <= {"too_many_clients", "reset"}
    writer.write(b"CONFIG SET maxclients 100\r\n")
    assert await reader.readline() == b"+OK\r\n"
    writer.close()
    await works(store)


async def test_a_script_that_does_not_end_makes_the_server_busy(server: RedisServer, store: RedisStore) -> None:
    await works(store)
    await server.command("CONFIG", "SET", "busy-reply-threshold", 50)
    with pytest.raises(TimeoutError):
        await server.command("EVAL", "while true do end", 0, within=0.2)
    assert await each_reason(store) == {"busy"}
    await server.command("SCRIPT", "KILL")
    await soon_works(store)


async def test_a_master_that_lacks_replicas_refuses_writes(server: RedisServer, store: RedisStore) -> None:
    await server.command("CONFIG", "SET", "min-replicas-to-write", 1)
    assert await each_reason(store) == {"no_replicas"}
    await server.command("CONFIG", "SET", "min-replicas-to-write", 0)
    await works(store)


async def test_a_server_with_tls_is_reached_if_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, port = certificates.make(tmp_path, "redis"), free_port()
    tls = {"tls_port": port, "tls_cert_file": str(pem.chain), "tls_key_file": str(pem.key), "tls_auth_clients": "no"}
    async with redis_server(**tls):
        async with redis_store(f"rediss://127.0.0.1:{port}") as store:
            assert await each_reason(store) == {"tls"}
        monkeypatch.setenv("SSL_CERT_FILE", str(pem.chain))
        async with redis_store(f"rediss://127.0.0.1:{port}") as store:
            await works(store)
