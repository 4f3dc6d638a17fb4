"""Probes all servers for ever, side by side, and tells when other servers should be handed out."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from .credentials import Account, EchoLogin
from .events import Broken, EchoFound
from .exchange import Timing
from .fleet import Fleet, Offered
from .probe import Probe, left_out_of
from .prober import Prober
from .report import Report, Verdict
from .resolver import Resolver
from .standing import Pace
from .turn import Address
from .urls import Server

log = logging.getLogger(__name__)

LIFETIME = 6 * 3600.0
# Seconds between the starts of two probes. To talk to a server costs 3 ms of a core in all, to wait for a silent one no
# more than a socket. So however many are due at once, they take a third of a core and five hundred sockets (for a probe
# ends after 5 s), and less where the loop comes round more slowly: no server counts as silent because we are busy.
APART = 0.01
USER = "probe"
PACE, TIMING = Pace(), Timing()
ALARMING = (Verdict.OPEN_RELAY, Verdict.CREDENTIAL_ERROR, Verdict.CERTIFICATE_EXPIRED, Verdict.TLS_ERROR)


class Monitor:
    """Run `run` for as long as servers are to be watched.

    `changed` hears of each new list, `probed` of each report. `echo` are the addresses where checks with
    `echo_login` are answered: those of the media port. Credentials are asked for as clients get them, valid for
    `lifetime`, so that a clock that is wrong is found when it matters, and only then. Times are in seconds.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        accounts: Sequence[Account],
        echo: Sequence[Address],
        echo_login: EchoLogin,
        *,
        changed: Callable[[Offered], None] = lambda offered: None,
        probed: Callable[[Report], None] = lambda report: None,
        lifetime: float = LIFETIME,
        pace: Pace = PACE,
        timing: Timing = TIMING,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.fleet = Fleet(servers, pace, random.SystemRandom().random, time.monotonic())
        self.changed, self.probed = changed, probed
        self._accounts, self._lifetime, self._timing = accounts, lifetime, timing
        self._echo_login = echo_login
        self.look_at(echo)
        self._tls = tls or ssl.create_default_context()
        self._news = asyncio.Event()
        self._said: dict[Server, Verdict | None] = {}

    def look_at(self, echo: Sequence[Address]) -> None:
        """The media port is reached at these addresses from now on."""
        for left_out in left_out_of(echo):
            log.warning("Relays are not tried with %s: there are too many media addresses", left_out[0])
        self._echo = EchoFound(echo, self._echo_login.ufrag, self._echo_login.password)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with Resolver() as resolver, asyncio.TaskGroup() as tasks:
            prober = Prober(resolver, self._tls, self._find_echo)
            while True:
                for server in self.fleet.due(time.monotonic(), most=1):
                    tasks.create_task(self._probe(prober, server), name=f"probe {server}")
                    await asyncio.sleep(APART)
                self._news.clear()
                wait = self.fleet.next_due - time.monotonic()
                try:
                    async with asyncio.timeout(max(0.0, wait) if wait < 1e9 else None):
                        await self._news.wait()
                except TimeoutError:
                    pass

    async def _probe(self, prober: Prober, server: Server) -> None:
        try:
            report = await prober.run(self._new_probe(server))
        except Exception:  # a fault of ours must not end the watch, nor condemn the server
            log.exception("The probe of %s failed", server)
            report = Report(server, Verdict.OWN_NETWORK_BROKEN, "the probe itself failed", ())
        self._take(report)

    def _new_probe(self, server: Server) -> Probe:
        logins = [account.login(USER, time.time(), self._lifetime) for account in self._accounts]
        ipv6 = bool(self._echo.peers) and all(":" in host for host, _ in self._echo.peers)
        return Probe(server, logins, self._timing, os.urandom, ipv6=ipv6)

    async def _find_echo(self, relayed: Address, mapped: Address | None, local: Address | None) -> EchoFound | Broken:
        return self._echo

    def _take(self, report: Report) -> None:
        network = report.failed_step != "resolve" or has_route()  # else an answer said so, or the kernel
        was_cut_off = self.fleet.cut_off
        changed = self.fleet.take(report, time.monotonic(), network=network)
        self._news.set()
        self._log(report)
        if self.fleet.cut_off and not was_cut_off:
            log.warning(
                "Nothing answers: it is probably our own network, and the last list is kept (%s)", report.reason
            )
        elif was_cut_off and not self.fleet.cut_off:
            log.warning("Something answers again: relays are judged as before")
        self.probed(report)
        if changed:
            offered = self.fleet.offered
            log.info("Clients get %s", ", ".join(str(one.server) for one in offered.turn) or "no TURN server")
            self.changed(offered)

    def _log(self, report: Report) -> None:
        state = self.fleet.standings[report.server].state
        if state is self._said.get(report.server):
            return
        before, self._said[report.server] = self._said.get(report.server), state
        if state in ALARMING:
            log.error("%s: %s (%s)", report.server, state.value, report.reason)
        elif state is not None and (before is not None or state is not Verdict.UP):
            log.warning("%s: %s%s", report.server, state.value, f" ({report.reason})" if report.reason else "")


def has_route() -> bool:
    """Whether this machine has a way to anywhere; no packet is sent to find out."""
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as somewhere:
                somewhere.connect((far, 9))
                return True
        except OSError:
            continue
    return False
