"""Carries one probe out: moves bytes and times between its conversation and the sockets, and has no opinion."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable

from .events import (
    Action,
    Broken,
    Connect,
    Connected,
    EchoFound,
    Event,
    FindEcho,
    Mirroring,
    Resolve,
    Resolved,
    Send,
    TimeUp,
)
from .probe import Probe
from .report import Report
from .resolver import Resolver
from .transport import Wire, fault_of
from .turn import Address

# (relayed, mapped, our own end of the connection) -> who answers checks
FindsEcho = Callable[[Address, Address | None, Address | None], Awaitable[EchoFound | Broken]]


class Prober:
    """What probes share: names, trust, and who sends something back."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext, find_echo: FindsEcho) -> None:
        self._resolver, self._tls, self._find_echo = resolver, tls, find_echo

    async def run(
        self,
        probe: Probe,
        find_echo: FindsEcho | None = None,
        mirroring: Callable[[Address], None] = lambda relayed: None,
    ) -> Report:
        """Carry `probe` out; `mirroring` hears at which relay it answers. When cancelled it gives a relay back, as far
        as that can be done at once."""
        return await _Run(probe, self._resolver, self._tls, find_echo or self._find_echo, mirroring).run()


class _Run:
    def __init__(
        self,
        probe: Probe,
        resolver: Resolver,
        tls: ssl.SSLContext,
        find_echo: FindsEcho,
        mirroring: Callable[[Address], None],
    ) -> None:
        self._probe, self._resolver, self._find_echo, self._mirroring = probe, resolver, find_echo, mirroring
        self._wire = Wire(tls, self._tell)
        self._slow: deque[Resolve | Connect | FindEcho] = deque()  # what is to be waited for
        self._news = asyncio.Event()

    async def run(self) -> Report:
        try:
            self._perform(self._probe.begin(time.monotonic()))
            while (report := self._probe.report) is None:
                try:
                    # Not by the loop's own clock: some loops keep milliseconds only.
                    async with asyncio.timeout(max(0.0, self._probe.wake_at - time.monotonic())):
                        if self._slow:
                            self._tell(await self._do(self._slow.popleft()))
                        else:
                            self._news.clear()
                            await self._news.wait()
                except TimeoutError:
                    self._tell(TimeUp())
            return report
        finally:
            self._perform(self._probe.abandon())
            await self._wire.close()

    def _tell(self, event: Event) -> None:
        """What arrives is handled at once, so that nothing but the network is in the times."""
        self._news.set()
        self._perform(self._probe.handle(event, time.monotonic()))

    def _perform(self, actions: list[Action]) -> None:
        broken: Broken | None = None
        for action in actions:
            if isinstance(action, Mirroring):
                self._mirroring(action.relayed)
            elif not isinstance(action, Send):
                self._slow.append(action)
            elif broken is None:
                try:
                    self._wire.send(action.data)
                except BlockingIOError:
                    pass  # a full buffer: lost, as it might be on the way
                except OSError as error:
                    broken = fault_of(error)
        if broken is not None and self._probe.report is None:
            self._tell(broken)

    async def _do(self, action: Resolve | Connect | FindEcho) -> Event:
        match action:
            case Resolve(host, port):
                patience = max(0.0, self._probe.wake_at - time.monotonic())
                return Resolved(await self._resolver.look_up(host, port, patience * 0.9))
            case Connect():
                try:
                    await self._wire.connect(action)
                except OSError as error:
                    return fault_of(error)
                return Connected()
            case FindEcho(relayed, mapped):
                return await self._find_echo(relayed, mapped, self._wire.local)
