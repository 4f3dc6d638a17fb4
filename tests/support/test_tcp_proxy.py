"""The failing network of the tests fails as it was told to, at once, and is well again at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.support.waiting import in_time

from .tcp_proxy import NORMAL, Faults, TcpProxy, tcp_proxy

SHORT = 0.2  # seconds in which an answer would have come
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[TcpProxy], Awaitable[Streams]]


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[str]:
    """The URL of a server that sends everything back, and closes when the client has closed its side."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while some := await reader.read(10_000):
                writer.write(some)
        except ConnectionError:
            pass
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections, which are closed at the end."""
    writers: list[asyncio.StreamWriter] = []

    async def opened(proxy: TcpProxy) -> Streams:
        streams = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(streams[1])
        return streams

    yield opened
    for writer in writers:
        writer.close()


async def answered(streams: Streams, text: bytes = b"hello\n", within: float = 2.0) -> bytes:
    """Say a line and return what comes back; TimeoutError when nothing does."""
    reader, writer = streams
    writer.write(text)
    return await in_time(reader.readline(), within)


async def is_reset(streams: Streams) -> bool:
    with pytest.raises(ConnectionResetError):
        await answered(streams)
    return True


async def test_bytes_travel_both_ways_and_so_does_the_end(echo: str, connect: Connect) -> None:
    async with tcp_proxy(echo) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"one\n" + b"x" * 300_000 + b"\n")
        writer.write_eof()
        assert await in_time(reader.readline(), 2) == b"one\n"
        assert await in_time(reader.read(), 2) == b"x" * 300_000 + b"\n"
        assert proxy.accepted == 1


async def test_the_proxy_has_the_url_of_the_server_but_for_the_port(echo: str) -> None:
    async with tcp_proxy(echo.replace("//", "//:secret@") + "/0") as proxy:
        assert proxy.url == f"redis://:secret@127.0.0.1:{proxy.port}/0"
    async with tcp_proxy("http://127.0.0.1:8080") as proxy:
        assert proxy.url == f"http://localhost:{proxy.port}"


async def test_latency_holds_bytes_back_each_way_and_jitter_lets_nothing_overtake(echo: str, connect: Connect) -> None:
    loop = asyncio.get_running_loop()
    async with tcp_proxy(echo, Faults(latency=0.05, jitter=0.02)) as proxy:
        reader, writer = await connect(proxy)
        began = loop.time()
        for number in range(20):
            writer.write(b"%d\n" % number)
            await asyncio.sleep(0.002)
        assert [await in_time(reader.readline(), 2) for _ in range(20)] == [b"%d\n" % n for n in range(20)]
        assert loop.time() - began >= 0.1
        await proxy.becomes(NORMAL)
        began = loop.time()
        await answered((reader, writer))
        assert loop.time() - began < 0.05


async def test_a_black_hole_takes_running_and_new_connections_and_gives_back_what_it_held(
    echo: str, connect: Connect
) -> None:
    async with tcp_proxy(echo) as proxy:
        running = await connect(proxy)
        await answered(running)
        await proxy.becomes(Faults(black_hole=True))
        fresh = await connect(proxy)
        for one, text in ((running, b"first\n"), (fresh, b"second\n")):
            with pytest.raises(TimeoutError):
                await answered(one, text, within=SHORT)
        await proxy.becomes(NORMAL)
        assert await in_time(running[0].readline(), 2) == b"first\n"
        assert await in_time(fresh[0].readline(), 2) == b"second\n"


async def test_a_black_hole_that_is_never_lifted_leaves_no_task_behind(echo: str, connect: Connect) -> None:
    before = asyncio.all_tasks()
    async with tcp_proxy(echo, Faults(black_hole=True)) as proxy:
        _, writer = await connect(proxy)
        writer.write(b"hello\n")
        await asyncio.sleep(0)
        writer.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_the_same_seed_resets_the_same_share_of_answered_connections(echo: str, connect: Connect) -> None:
    async def outcomes(seed: int) -> list[bool]:
        came = []
        async with tcp_proxy(echo, Faults(reset_share=0.3), seed=seed) as proxy:
            for _ in range(40):
                streams = await connect(proxy)
                try:
                    came.append(await answered(streams) == b"hello\n")
                except ConnectionResetError:
                    came.append(False)
            assert proxy.resets == came.count(False)
        return came

    first = await outcomes(7)
    assert first == await outcomes(7) != await outcomes(8)
    assert 5 <= first.count(False) <= 20


async def test_running_connections_are_reset_too(echo: str, connect: Connect) -> None:
    async with tcp_proxy(echo) as proxy:
        running = await connect(proxy)
        await answered(running)
        await proxy.becomes(Faults(reset_share=1.0))
        assert await is_reset(running)
        assert await is_reset(await connect(proxy))
        await proxy.becomes(NORMAL)
        assert await answered(await connect(proxy)) == b"hello\n"


async def test_a_refusal_is_for_new_connections_and_ends_on_the_same_port(echo: str, connect: Connect) -> None:
    async with tcp_proxy(echo) as proxy:
        running = await connect(proxy)
        await answered(running)
        await proxy.becomes(Faults(refuse=True))
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        assert await answered(running) == b"hello\n"
        await proxy.becomes(NORMAL)
        assert await answered(await connect(proxy)) == b"hello\n"


async def test_a_cut_resets_everybody_until_it_is_mended(echo: str, connect: Connect) -> None:
    async with tcp_proxy(echo) as proxy:
        running = await connect(proxy)
        await answered(running)
        proxy.cut()
        assert await is_reset(running)
        assert await is_reset(await connect(proxy))
        proxy.mend()
        assert await answered(await connect(proxy)) == b"hello\n"
        assert proxy.accepted == 2


async def test_a_server_that_is_not_there_resets_its_clients(connect: Connect) -> None:
    async with tcp_proxy("http://127.0.0.1:1") as proxy:
        assert await is_reset(await connect(proxy))
