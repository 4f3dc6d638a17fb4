"""A probe leaves no socket, no task and no relay behind, whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fuzz.mutation import mutated
from tests.support import certificates
from tests.support.turn_server import TurnServer
from tests.support.waiting import eventually
from turn_probe.exchange import Timing
from turn_probe.report import Verdict

from .conftest import ProbeOf
from .pretend import Pretended

HASTY = Timing(exchange=0.05, connect=0.05, resend=0.02, pace=0.0, echo=0.05, whole=0.2, release=0.03)
BRIEFLY, LONG = 60, 1000
ROUNDS = [BRIEFLY, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(600)])]


class Hostile:
    """A server whose every answer is spoiled, or none, or too much; over UDP and TCP on the same port."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def says(self, data: bytes) -> list[bytes]:
        try:
            honest = Pretended().answers(data)
        except (ValueError, KeyError, AssertionError):
            honest = [b"\1\1\0\0"]
        kind = self._chance.randrange(6)
        if kind == 0:
            return []
        if kind == 1:
            return honest
        if kind == 2:
            return [self._chance.randbytes(1400)] * 60
        return [mutated(honest or [b"\0"], self._chance) for _ in range(3)]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port, for as long as the block lasts."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.setblocking(False)

            def readable() -> None:
                with contextlib.suppress(OSError):
                    data, source = udp.recvfrom(2048)
                    for answer in self.says(data):
                        udp.sendto(answer, source)

            loop.add_reader(udp, readable)
            server = await asyncio.start_server(self._serve, "127.0.0.1", udp.getsockname()[1])
            async with server:
                yield udp.getsockname()[1]
            loop.remove_reader(udp)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while (data := await reader.read(2048)) and self._chance.randrange(5):
                writer.writelines(self.says(data))
                await writer.drain()
        writer.transport.abort()


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_after_many_rounds_with_a_hostile_server_nothing_is_left(probe: ProbeOf, rounds: int) -> None:
    async with Hostile(random.Random(5)).listening() as port:
        urls = [f"turn:127.0.0.1:{port}?transport=udp", f"turn:127.0.0.1:{port}?transport=tcp"]
        urls += [f"turns:127.0.0.1:{port}", f"stun:127.0.0.1:{port}"]
        await probe(urls[0], timing=HASTY)
        before, tasks = open_files(), len(asyncio.all_tasks())
        seen = set()
        for _ in range(rounds // 20):
            for report in await asyncio.gather(*(probe(urls[n % len(urls)], timing=HASTY) for n in range(20))):
                seen.add(report.verdict)
        await asyncio.sleep(0.05)  # the server's ends of the connections
        assert Verdict.DOWN in seen
        assert open_files() <= before + 1
        assert len(asyncio.all_tasks()) <= tasks + 1


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_after_many_rounds_coturn_has_every_relay_back(probe: ProbeOf, tmp_path: Path, rounds: int) -> None:
    pem = certificates.make(tmp_path, "coturn")
    async with TurnServer(pem=pem) as server:
        await probe(server.url("tls"), tls=pem.trust())
        before = open_files()
        timing = Timing(pace=0.0)
        for _ in range(rounds // 20):
            reports = await asyncio.gather(
                *(probe(server.url(("udp", "tcp", "tls")[n % 3]), tls=pem.trust(), timing=timing) for n in range(20))
            )
            assert {(report.verdict, report.reason) for report in reports} == {(Verdict.UP, "")}
        assert open_files() <= before
        await server.sessions_end()


async def test_a_probe_that_is_cancelled_gives_its_relay_back(probe: ProbeOf) -> None:
    async with TurnServer() as server:
        before = open_files()
        slow = Timing(pace=5.0)
        running = asyncio.gather(probe(server.url(), timing=slow))
        await eventually(lambda: "CHANNEL_BIND processed, success" in server.log, every=0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert open_files() == before
        await server.sessions_end()
