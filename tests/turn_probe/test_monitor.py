"""The watch over all servers: side by side, in time, and without holding anybody up."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually
from turn_probe.credentials import accounts, echo_login
from turn_probe.exchange import Timing
from turn_probe.fleet import Offered
from turn_probe.monitor import Monitor
from turn_probe.probe import Probe
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace
from turn_probe.transport import EchoSocket
from turn_probe.urls import Server, parse

from .pretend import Pretended

QUICKLY = Pace(interval=0.5, again=0.1, hold=0.5)
LOGIN = echo_login(SECRET)
ACCOUNTS = accounts([SECRET])
SLACK = 2.0  # seconds by which a busy machine may be late


@asynccontextmanager
async def running(monitor: Monitor) -> AsyncIterator[None]:
    """For as long as the block lasts."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(monitor.run())
        try:
            yield
        finally:
            task.cancel()


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


async def lags(seconds: float) -> list[float]:
    """By how much the event loop is late, every 5 ms."""
    found, until = [], time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        await asyncio.sleep(0.005)
        found.append(time.monotonic() - now - 0.005)
    return found


@pytest.mark.alone
async def test_fifty_servers_are_probed_side_by_side_within_an_interval_without_slowing_the_loop() -> None:
    """One coturn at 25 addresses over two transports; the lag beside that of the same loop at rest."""
    hosts = [f"127.0.0.{number}" for number in range(1, 26)]
    async with TurnServer(*(f"--listening-ip={host}" for host in hosts[1:]), host=hosts[0]) as turn:
        urls = [f"turn:{host}:{turn.port}?transport={transport}" for host in hosts for transport in ("udp", "tcp")]
        at_rest = p99(await lags(1.0))
        with EchoSocket("127.0.0.1", LOGIN.password) as echo:
            reports: list[Report] = []
            monitor = Monitor(
                [parse(url) for url in urls],
                ACCOUNTS,
                [echo.address],
                LOGIN,
                probed=reports.append,
                pace=Pace(interval=5.0),
            )
            began = time.monotonic()
            async with running(monitor):
                busy = await lags(3.0)
                await eventually(lambda: len({report.server for report in reports}) == 50, 3.0)
                assert time.monotonic() - began < 5.0
        assert {report.verdict for report in reports} == {Verdict.UP}
        assert p99(busy) < max(0.020, 2 * at_rest), f"{p99(busy):.4f} s, at rest {at_rest:.4f} s"
        await turn.sessions_end()


@pytest.mark.alone
async def test_of_two_hundred_silent_servers_none_waits_long_for_its_turn_and_the_loop_is_not_slowed() -> None:
    """Three probes of 3 s and twice a pause of 1.5 s make one fall; two hundred do so in 2 s more."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,  # at all addresses; what comes is never read
        socket.socket() as tcp,
    ):
        udp.bind(("0.0.0.0", 0))
        tcp.bind(("0.0.0.0", 0))
        tcp.listen(1000)
        ports = {"udp": udp.getsockname()[1], "tcp": tcp.getsockname()[1]}
        hosts = [f"127.0.1.{number}" for number in range(1, 101)]
        urls = [f"turn:{host}:{port}?transport={transport}" for host in hosts for transport, port in ports.items()]
        at_rest = p99(await lags(1.0))
        visited: dict[Server, float] = {}
        began = time.monotonic()

        def probed(report: Report) -> None:
            visited.setdefault(report.server, time.monotonic() - began)

        monitor = Monitor([parse(url) for url in urls], ACCOUNTS, [], LOGIN, probed=probed)
        async with running(monitor):
            busy = await lags(12.0)
            await eventually(lambda: monitor.fleet.offered.lacks_turn, 12.0)
            fallen = time.monotonic() - began
    assert len(visited) == 200
    told = f"each visited in {max(visited.values()):.1f} s, all out after {fallen:.1f} s, p99 {p99(busy):.4f} s late"
    print(f"{told}, at rest {at_rest:.4f} s")
    assert max(visited.values()) < 1.0 + 2.0 + 3.0 + SLACK, told
    assert fallen < 1.0 + 2.0 + 3 * 3.0 + 2 * 1.5 + SLACK, told
    assert p99(busy) < max(0.020, 2 * at_rest), f"{told}, at rest {at_rest:.4f} s"


async def test_the_list_follows_what_becomes_of_a_server() -> None:
    async with TurnServer() as turn:
        heard: list[Offered] = []
        reports: list[Report] = []
        with EchoSocket("127.0.0.1", LOGIN.password) as echo:
            monitor = Monitor(
                [parse(turn.url())],
                ACCOUNTS,
                [echo.address],
                LOGIN,
                changed=heard.append,
                probed=reports.append,
                pace=QUICKLY,
            )
            async with running(monitor):
                await eventually(lambda: [report.verdict for report in reports[:2]] == [Verdict.UP, Verdict.UP])
                assert heard == []
                await turn.kill()
                await eventually(lambda: heard and heard[-1].lacks_turn)
                await turn.start()
                await eventually(lambda: heard[-1].turn)
                assert len(heard) == 2


async def test_a_media_port_that_does_not_answer_is_a_silent_relay() -> None:
    async with TurnServer() as turn:
        monitor = Monitor(
            [parse(turn.url())],
            ACCOUNTS,
            [("127.0.0.1", 9)],
            LOGIN,
            pace=QUICKLY,
            timing=Timing(echo=0.2),
        )
        async with running(monitor):
            await eventually(lambda: monitor.fleet.offered.lacks_turn)
            assert "nothing came back through the relay" in monitor.fleet.offered.reason


async def test_a_fault_of_our_own_neither_ends_the_watch_nor_condemns_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Probe, "begin", fails)
    reports: list[Report] = []
    server = parse("turn:127.0.0.1:9")
    monitor = Monitor([server], ACCOUNTS, [], LOGIN, probed=reports.append, pace=QUICKLY)
    async with running(monitor):
        await eventually(lambda: len(reports) >= 3)
    assert monitor.fleet.standings[server].usable
    assert "The probe of turn 127.0.0.1:9 udp failed" in caplog.text


@pytest.mark.parametrize("lifetime", [60.0, 21_600.0])
async def test_credentials_are_asked_for_as_valid_as_clients_get_them(lifetime: float) -> None:
    """So that a server whose clock is wrong by less than that is not condemned, and one by more is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        pretended, loop = Pretended(), asyncio.get_running_loop()

        async def serve() -> None:
            while True:
                data, source = await loop.sock_recvfrom(udp, 2048)
                for answer in pretended.answers(data):
                    await loop.sock_sendto(udp, answer, source)

        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(serve())
            server = parse(f"turn:127.0.0.1:{udp.getsockname()[1]}")
            reports: list[Report] = []
            monitor = Monitor([server], ACCOUNTS, [], LOGIN, probed=reports.append, lifetime=lifetime)
            async with running(monitor):
                await eventually(lambda: reports)
            serving.cancel()
    valid_until = pretended.asked[1].attributes["USERNAME"].partition(":")[0]
    assert int(valid_until) - time.time() == pytest.approx(lifetime, abs=5.0)


def test_media_addresses_that_relays_are_not_tried_with_are_told(caplog: pytest.LogCaptureFixture) -> None:
    echo = [(f"10.0.{number}.1", 7882) for number in range(5)]
    Monitor([], ACCOUNTS, [*echo[:4], ("2001:db8::1", 7882)], LOGIN)
    assert not caplog.text
    Monitor([], ACCOUNTS, [*echo, ("9.9.9.9", 7882)], LOGIN)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Relays are not tried with 10.0.3.1",
        "Relays are not tried with 10.0.4.1",
    ]
