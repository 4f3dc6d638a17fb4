"""A server that watches fifty TURN servers answers its clients as quickly as one that watches none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection

from tests.support.server import RunningServer, running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.alone

HOSTS = [f"127.0.0.{number}" for number in range(1, 26)]
INTERVAL = 5.0  # seconds between probes of each server
ROUNDS = 2  # of probing that are watched, and jittered by a fifth
EVERY = 0.01  # seconds between questions
AS_GOOD_AS_NONE = 0.020  # seconds of lateness that nobody notices


@asynccontextmanager
async def client(server: RunningServer) -> AsyncIterator[ClientConnection]:
    """Somebody in a room of this server."""
    body = json.dumps({"room": "lab", "name": "ada", "identity": "ada"}).encode()
    answer = await server.request("/api/dev/token", "POST", body, {"Content-Type": "application/json"})
    assert answer.status == 200, quote(answer.body)
    async with server.websocket() as socket:
        await socket.send(json.dumps({"type": "join", "token": json.loads(answer.body)["token"]}))
        await until(socket, "welcome")
        yield socket


async def until(socket: ClientConnection, kind: str) -> None:
    """Read up to the next message of this type."""
    while json.loads(await socket.recv())["type"] != kind:
        pass


async def answer_time(socket: ClientConnection) -> float:
    """Seconds until a question is answered by the loop that also probes."""
    asked = time.perf_counter()
    await socket.send('{"type":"ping"}')
    await until(socket, "pong")
    return time.perf_counter() - asked


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


@pytest.mark.timeout(120)
async def test_signalling_is_as_quick_beside_fifty_watched_relays_as_beside_none() -> None:
    """One coturn at 25 addresses over two transports; two servers are asked in turns, so that what else the machine
    does hits both."""
    async with TurnServer(*(f"--listening-ip={host}" for host in HOSTS[1:]), host=HOSTS[0]) as turn:
        urls = [f"turn:{host}:{turn.port}?transport={transport}" for host in HOSTS for transport in ("udp", "tcp")]
        watching = {"turn": ",".join(urls), "turn_secret": SECRET, "turn_probe_interval": INTERVAL}
        quick = {"messages_per_second": 1000}
        async with running_server(**quick) as alone, running_server(**quick, **watching) as server:
            began = time.monotonic()

            async def all_are_up() -> bool:
                metrics = await server.metrics()
                return sum(value for name, value in metrics.items() if is_up(name)) == 50

            await eventually(all_are_up, INTERVAL, every=0.1)
            print(f"all fifty were measured {time.monotonic() - began:.1f} s after the start")
            async with client(alone) as control, client(server) as beside:
                at_rest, busy = [], []
                until_then = time.monotonic() + ROUNDS * 1.2 * INTERVAL
                while time.monotonic() < until_then:
                    at_rest.append(await answer_time(control))
                    busy.append(await answer_time(beside))
                    await asyncio.sleep(EVERY)
            counts = [(name, value) for name, value in (await server.metrics()).items() if "turn_probes_total" in name]
            assert sum(value for _, value in counts) >= 50 * ROUNDS
            told = f"p99 {1000 * p99(busy):.1f} ms beside fifty, {1000 * p99(at_rest):.1f} ms beside none"
            print(f"{told}; medians {1000 * median(busy):.2f} and {1000 * median(at_rest):.2f} ms")
            assert p99(busy) < max(AS_GOOD_AS_NONE, 2 * p99(at_rest)), told


def is_up(name: str) -> bool:
    """Whether this is the metric that says of a server that it is up."""
    return name.startswith("auralink_turn_server_state{") and 'state="up"' in name
