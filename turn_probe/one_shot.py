"""One probe of each of some servers, from wherever it is run: to an echo, to our own socket, or relay to relay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import credentials
from .credentials import Account
from .events import Broken, EchoFound
from .exchange import Timing
from .probe import Probe
from .prober import Prober
from .report import Report, Verdict
from .resolver import Resolver
from .transport import EchoSocket, fault_of
from .turn import Address
from .urls import Server

LIFETIME = 600.0  # seconds for which credentials are valid
# For a person who waits, and may be far away.
PATIENT = Timing(resolve=5.0, connect=5.0, exchange=5.0, whole=10.0)


@dataclass(frozen=True)
class OneShot:
    """What to probe with. `echo` is the address of somebody who sends checks back, such as a media port."""

    accounts: Sequence[Account] = ()
    echo: tuple[str, int] | None = None
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    timing: Timing = PATIENT

    async def probe(self, servers: Sequence[Server]) -> list[Report]:
        """Probe all of them side by side; one report each, in the same order."""
        async with Resolver() as resolver, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._probe(resolver, server)) for server in servers]
        return [task.result() for task in running]

    async def _probe(self, resolver: Resolver, server: Server) -> Report:
        async with contextlib.AsyncExitStack() as stack:

            async def find_echo(relayed: Address, mapped: Address | None, local: Address | None) -> EchoFound | Broken:
                if self.echo is not None:
                    login = credentials.echo_login(self.accounts[0].text if self.accounts else "nobody's")
                    # Who else but the media port answers need not know how to sign.
                    found = await resolver.look_up(*self.echo, self.timing.resolve)
                    return EchoFound(found, login.ufrag, login.password, signed=False)
                password = secrets.token_hex(16)
                if local is not None and mapped is not None and mapped[0] == local[0]:
                    try:
                        return EchoFound([stack.enter_context(EchoSocket(local[0], password)).address], "own", password)
                    except OSError as error:
                        return fault_of(error)
                return await self._mirrored(stack, prober, server, relayed, password)

            prober = Prober(resolver, self.tls, find_echo)
            return await prober.run(self._new_probe(server))

    def _new_probe(self, server: Server, *, mirror: bool = False) -> Probe:
        logins = [account.login("probe", time.time(), LIFETIME) for account in self.accounts]
        ipv6 = ":" in self.echo[0] if self.echo else None  # else we answer by the way on which we ask
        return Probe(server, logins, self.timing, os.urandom, ipv6=ipv6, mirror=mirror)

    async def _mirrored(
        self, stack: contextlib.AsyncExitStack, prober: Prober, server: Server, relayed: Address, password: str
    ) -> EchoFound | Broken:
        """Behind a NAT nothing reaches a socket of ours; a second relay of ours is reached by everybody."""
        answers = asyncio.get_running_loop().create_future()

        async def find_first(own: Address, mapped: Address | None, local: Address | None) -> EchoFound:
            return EchoFound([relayed], "relay", password)

        def mirroring(address: Address) -> None:
            if not answers.done():
                answers.set_result(address)

        async def mirror() -> None:
            report = await prober.run(self._new_probe(server, mirror=True), find_first, mirroring)
            if not answers.done():
                answers.set_result(report)

        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = tasks.create_task(mirror(), name=f"mirror {server}")
        stack.callback(running.cancel)
        found = await answers
        if isinstance(found, Report):
            return Broken(
                found.verdict if found.verdict is not Verdict.UP else Verdict.DOWN, f"for the echo: {found.reason}"
            )
        return EchoFound([found], "relay", password)
