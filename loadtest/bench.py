"""`make bench`: CPU time per forwarded packet, of the fan-out alone and of the whole server, beside a bare sendto."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import uvloop

from sfu.dtls import Certificate

from .bench_fan_out import DATAGRAM_BYTES, bench_fan_out, bench_sendto
from .owner import Owner
from .peer import Peer
from .publication import Rates, SourceName
from .sink import sink
from .table import table
from .ticker import Ticker
from .tokens import sign

_KID = "bench"
_CAMERA = Rates(video_bitrate=2_500_000, frame_rate=30, payload_bytes=DATAGRAM_BYTES - 12 - 16)
_SAMPLE = 50  # each how-many-th packet a receiver decrypts
_WARM_UP = 1.0  # seconds
_STARTS_WITHIN = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of the whole server. CPU in seconds per delivered packet; the others are shares from 0 to 1."""

    cpu: float
    packets_per_second: float
    delivered: float
    segmented: float | None
    load: float


@dataclass(frozen=True, slots=True)
class _Server:
    pid: int
    port: int
    admin_port: int
    secret: str

    def cpu_time(self) -> float:
        """User and system time so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self) -> dict[str, float]:
        """All metrics by name; blocks."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement (default 4)")
    parser.add_argument("--repeat", type=int, default=3, help="measurements, of which the median counts (default 3)")
    parser.add_argument(
        "--receivers",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[10, 50, 200],
        help="receivers in the room, separated by commas (default 10,50,200)",
    )
    options = parser.parse_args()
    print(_machine())
    with sink(max(options.receivers)) as far:
        bare = _median(partial(bench_sendto, far, max(options.receivers), options.seconds), options.repeat)
        rows = [_row(f"bare sendto of {DATAGRAM_BYTES} bytes", bare, bare)]
        for receivers in options.receivers:
            alone = _median(partial(bench_fan_out, far, receivers, options.seconds), options.repeat)
            rows.append(_row(f"fan-out alone, {receivers} receivers", alone, bare))
    for receivers in options.receivers:
        with _serve() as server:
            found = uvloop.run(_measure(server, receivers, options.seconds, options.repeat))
        middle = sorted(found, key=lambda one: one.cpu)[len(found) // 2]
        rows.append(_row(f"whole server, {receivers} receivers", middle.cpu, bare, middle))
    head = ["CPU per forwarded packet", "µs", "× sendto", "packets/s", "delivered", "segmented", "generator"]
    print(table(head, rows))


def _row(name: str, cpu: float, bare: float, server: Measurement | None = None) -> list[str]:
    rest = ["", "", "", ""]
    if server is not None:
        segmented = "-" if server.segmented is None else f"{100 * server.segmented:.0f} %"
        rest = [
            f"{server.packets_per_second:.0f}",
            f"{100 * server.delivered:.2f} %",
            segmented,
            f"{100 * server.load:.0f} %",
        ]
    return [name, f"{1e6 * cpu:.2f}", f"{cpu / bare:.2f}", *rest]


def _median(measure: partial[float], repeat: int) -> float:
    return median(measure() for _ in range(repeat))


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}\n"


# ------------------------------------------------------------------------------------------------- whole server


@contextmanager
def _serve() -> Iterator[_Server]:
    """A server in a process of its own, on free loopback ports, with limits that let a crowd in."""
    secret = secrets.token_hex(32)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AURALINK_")}
    with tempfile.TemporaryDirectory(prefix="auralink-") as folder:
        ready = Path(folder) / "ready.json"
        options = {
            "host": "127.0.0.1",
            "port": 0,
            "media-ip": "127.0.0.1",
            "media-port": 0,
            "keys": f"{_KID}:{secret}",
            "admin-bind": "127.0.0.1:0",
            "log-level": "warning",
            "ready-file": ready,
            "max-connections-per-address": 10_000,
            "joins-per-second": 10_000,
            "max-participants-per-room": 10_000,
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        command = [str(Path(sys.executable).with_name("auralink")), "serve", *flags]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
        try:
            ports = _ports(process, ready)
            yield _Server(process.pid, ports["port"], ports["admin_port"], secret)
        finally:
            process.terminate()
            process.wait(30)


def _ports(process: subprocess.Popen[bytes], ready: Path) -> dict[str, int]:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists() and (text := ready.read_text()):
            return {name: int(value) for name, value in json.loads(text).items()}
        time.sleep(0.05)
    raise SystemExit("The server did not start.")


async def _measure(server: _Server, receivers: int, seconds: float, repeat: int) -> list[Measurement]:
    url = f"ws://127.0.0.1:{server.port}/ws"
    ticker, certificate = Ticker(), Certificate()

    def member(name: str, camera: bool) -> Peer:
        token = sign(_KID, server.secret, "bench", name, time.time())
        publish: tuple[SourceName, ...] = ("camera",) if camera else ()
        sample = 1 if camera else _SAMPLE
        return Peer(url, token, publish, rates=_CAMERA, ticker=ticker, certificate=certificate, sample=sample)

    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(Owner())
        owner.start(ticker.run())
        publisher = await stack.enter_async_context(member("publisher", True))
        audience = [await stack.enter_async_context(member(f"receiver-{n}", False)) for n in range(receivers)]
        async with asyncio.timeout(_STARTS_WITHIN):
            while not all(peer.transport.received for peer in audience):  # noqa: ASYNC110 - counters have no event
                await asyncio.sleep(0.05)
        found = []
        for _ in range(repeat):
            await asyncio.sleep(_WARM_UP)
            found.append(await _measure_once(server, publisher, audience, seconds))
    sampled = sum(peer.ledger.sampled for peer in audience)
    wrong = sum(peer.ledger.unknown + peer.transport.rejected for peer in audience)
    if wrong or not sampled:
        raise SystemExit(f"Of the packets that were looked into, {sampled} were right and {wrong} were not.")
    return found


async def _measure_once(server: _Server, publisher: Peer, audience: list[Peer], seconds: float) -> Measurement:
    def delivered() -> int:
        return sum(peer.transport.received for peer in audience)

    metrics = await asyncio.to_thread(server.metrics)
    cpu, count, sent, started, own = (
        server.cpu_time(),
        delivered(),
        publisher.transport.sent,
        time.monotonic(),
        time.process_time(),
    )
    await asyncio.sleep(seconds)
    cpu, count, sent = server.cpu_time() - cpu, delivered() - count, publisher.transport.sent - sent
    elapsed, own = time.monotonic() - started, time.process_time() - own
    after = await asyncio.to_thread(server.metrics)
    forwarded, segmented = (
        after.get(name, 0.0) - metrics.get(name, 0.0)
        for name in ("auralink_packets_forwarded_total", "auralink_gso_packets_total")
    )
    return Measurement(
        cpu / count,
        count / elapsed,
        count / (sent * len(audience)),
        segmented / forwarded if forwarded else None,
        own / elapsed,
    )


if __name__ == "__main__":
    main()
