"""A probe with real sockets, for tests with a real coturn."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest_asyncio

from tests.support.turn_server import SECRET
from turn_probe import credentials, urls
from turn_probe.events import EchoFound
from turn_probe.exchange import Timing
from turn_probe.probe import Probe
from turn_probe.prober import Prober
from turn_probe.report import Report
from turn_probe.resolver import Resolver
from turn_probe.transport import EchoSocket
from turn_probe.turn import Address

ProbeOf = Callable[..., Awaitable[Report]]
QUICK = Timing(exchange=0.5, connect=0.5, resend=0.1, echo=0.3, whole=2.0, release=0.5)


@pytest_asyncio.fixture
async def probe() -> AsyncIterator[ProbeOf]:
    """`await probe(url)` is the report of one probe; `secrets`, `tls` and `timing` may be given."""
    async with Resolver() as resolver:
        with EchoSocket("127.0.0.1", "echo") as echo:

            async def find_echo(relayed: Address, mapped: Address | None, local: Address | None) -> EchoFound:
                return EchoFound([echo.address], "echo", "echo")

            async def run(
                url: str,
                *,
                secrets: Sequence[str] = (SECRET,),
                tls: ssl.SSLContext | None = None,
                timing: Timing = QUICK,
            ) -> Report:
                logins = [credentials.issue(secret, "probe", time.time(), 600.0) for secret in secrets]
                prober = Prober(resolver, tls or ssl.create_default_context(), find_echo)
                return await prober.run(Probe(urls.parse(url), logins, timing, os.urandom))

            yield run
