"""Whatever becomes of a relay while a server runs, it leaves the list within 45 s, and is called by its name."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import certificates
from tests.support.certificates import Pem
from tests.support.server import running_server
from tests.support.turn_server import SECRET, TurnServer, hold_relays
from turn_probe import credentials

from .test_relays import is_known, joined, turn_urls

PROMISED = 45.0  # seconds
INTERVALS = [1, pytest.param(22, marks=[pytest.mark.long, pytest.mark.timeout(180)])]


@dataclass(frozen=True)
class Fault:
    """What happens to a coturn that runs, and what is found then."""

    happens: Callable[[TurnServer, Pem], Awaitable[None]]
    state: str
    transport: str = "udp"
    expired: bool = False  # the other certificate, which is for the fault to use


async def hangs(turn: TurnServer, other: Pem) -> None:
    turn.stop()


async def dies(turn: TurnServer, other: Pem) -> None:
    await turn.kill()


async def gets_another_secret(turn: TurnServer, other: Pem) -> None:
    turn.secret = "another secret"
    await turn.start()


async def gets_another_certificate(turn: TurnServer, other: Pem) -> None:
    assert turn.pem
    turn.pem.become(other)
    turn.reload_certificate()


FAULTS = [
    Fault(hangs, "down"),
    Fault(dies, "down"),
    Fault(gets_another_secret, "credential_error"),
    Fault(gets_another_certificate, "certificate_expired", "tls", expired=True),
    Fault(gets_another_certificate, "tls_error", "tls"),
]


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.happens.__name__}: {fault.state}")
async def test_a_relay_that_breaks_is_out_of_the_list_within_45_seconds(
    fault: Fault, interval: int, tmp_path: Path
) -> None:
    pem = certificates.make(tmp_path, "coturn")
    other = certificates.make(tmp_path, "other", expired=fault.expired)
    # The expired one was trusted too, so that nothing is wrong with it but its age.
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(pem.chain.read_bytes() + (other.chain.read_bytes() if fault.expired else b""))
    async with (
        TurnServer(pem=pem) as turn,
        running_server(
            environment={"SSL_CERT_FILE": str(trusted)},
            turn=turn.url(fault.transport),
            turn_secret=SECRET,
            turn_probe_interval=interval,
        ) as server,
    ):
        await is_known(server, turn.url(fault.transport), "up")
        async with joined(server, "ada") as ada:
            assert turn_urls(await ada.hears("welcome")) == [turn.url(fault.transport)]
            began = time.monotonic()
            await fault.happens(turn, other)
            assert turn_urls(await ada.hears("ice_servers", within=60.0)) == []
            assert time.monotonic() - began < PROMISED
            await ada.hears("degraded")
        await is_known(server, turn.url(fault.transport), fault.state)


async def test_a_relay_that_is_full_is_kept_and_handed_out_last() -> None:
    async with TurnServer("--user-quota=2") as full, TurnServer() as other:
        login = credentials.issue(SECRET, "probe", time.time(), 600.0)
        taken = await hold_relays(full, 2, login.username, login.password)
        async with running_server(
            turn=f"{full.url()},{other.url()}", turn_secret=SECRET, turn_probe_interval=1
        ) as server:
            await is_known(server, full.url(), "overloaded")
            await is_known(server, other.url(), "up")
            async with joined(server, "ada") as ada:
                assert turn_urls(await ada.hears("welcome")) == [other.url(), full.url()]
        for transport in taken:
            transport.close()


async def test_a_relay_that_comes_and_goes_does_not_make_the_list_do_so() -> None:
    """Each time it is away and back for longer than it takes to fall and, but for the hold that grows, to rise."""
    async with (
        TurnServer() as steady,
        TurnServer() as turn,
        running_server(turn=f"{steady.url()},{turn.url()}", turn_secret=SECRET, turn_probe_interval=0.5) as server,
    ):
        await is_known(server, steady.url(), "up")
        await is_known(server, turn.url(), "up")
        async with joined(server, "ada") as ada, asyncio.TaskGroup() as tasks:
            listed = [turn.url() in turn_urls(await ada.hears("welcome"))]

            async def listen() -> None:
                while True:
                    listed.append(turn.url() in turn_urls(await ada.hears("ice_servers", within=120.0)))

            listening = tasks.create_task(listen())
            began = time.monotonic()
            rounds = 8
            for _ in range(rounds):
                await turn.kill()
                await asyncio.sleep(1.5)  # it is this rhythm that is tested
                await turn.start()
                await asyncio.sleep(1.5)
            listening.cancel()
            # The order of the two may change besides, on a machine that is busy.
            changes = sum(before is not after for before, after in pairwise(listed))
            # It stays away for 0.5 s after its first fall, then for 1, 2, 4 s, so that only so many fit in.
            falls = 1 + int(math.log2(1 + (time.monotonic() - began) / 0.5))
            assert 2 <= changes <= 2 * falls < 2 * rounds
            assert "degraded" not in ada.heard
