"""A real coturn on free ports, which a test may stop, kill, misconfigure and bring back."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from .certificates import Pem
from .network import HOST, Network
from .ports import free_port
from .program import Program
from .waiting import eventually

SECRET = "a secret shared with coturn"
STARTS_WITHIN = 10.0
RELAY_PORTS = 1500  # one is free again only a second after it was given back


class TurnServer:
    """One server on 127.0.0.1, or at the address of `network`, over UDP, TCP and, with `pem`, TLS.

    It keeps its ports for life, over all restarts. `options` are added to its command line at each start. With an
    empty `secret` it uses none.
    """

    def __init__(
        self, *options: str, secret: str = SECRET, pem: Pem | None = None, network: Network = HOST, host: str = ""
    ) -> None:
        self.secret, self.options, self.pem = secret, [*options], pem
        self.host = host or network.address
        self.port = self.tls_port = 0
        self.relay_ports = (0, 0)
        self._network = network

    async def __aenter__(self) -> Self:
        self._temporary = TemporaryDirectory(prefix="auralink-turn-")
        self._folder = Path(self._temporary.name)
        self.port, self.tls_port = free_port(), free_port()
        first = self.port
        while any(first <= port <= first + RELAY_PORTS for port in (self.port, self.tls_port)):
            first = free_port(socket.SOCK_DGRAM)  # else who blocks the relays would block the server as well
        self.relay_ports = (first, first + RELAY_PORTS)
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._temporary.cleanup()

    def url(self, transport: str = "udp") -> str:
        """Where clients reach it over `udp`, `tcp` or `tls`; over TLS as localhost, which the certificates name."""
        if transport == "tls":
            return f"turns:{'localhost' if self.host == '127.0.0.1' else self.host}:{self.tls_port}"
        return f"turn:{self._host_in_url}:{self.port}?transport={transport}"

    @property
    def stun_url(self) -> str:
        """The same server, for who only wants to know an address."""
        return f"stun:{self._host_in_url}:{self.port}"

    @property
    def _host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def log(self) -> str:
        """Everything that it printed so far."""
        return self._program.log

    async def start(self) -> None:
        """Start it, again if it ran before, and wait until it answers."""
        await self.kill()
        tls = [f"--cert={self.pem.chain}", f"--pkey={self.pem.key}"] if self.pem else ["--no-tls"]
        command = self._network.command(
            *("turnserver", "-n", "-v", "--no-cli", "--no-dtls", "--allow-loopback-peers", "--log-file=stdout"),
            *(f"--listening-ip={self.host}", f"--relay-ip={self.host}", "--realm=auralink.test"),
            *(f"--listening-port={self.port}", f"--tls-listening-port={self.tls_port}"),
            *(f"--min-port={self.relay_ports[0]}", f"--max-port={self.relay_ports[1]}"),
            *(f"--userdb={self._folder}/db", f"--pidfile={self._folder}/pid", "--relay-threads=1"),
            *(["--use-auth-secret", f"--static-auth-secret={self.secret}"] if self.secret else []),
            *tls,
            *self.options,
        )
        self._program = Program(command, self._folder)
        await self._program.start()
        await eventually(self._answers, STARTS_WITHIN, every=0.02)

    async def kill(self) -> None:
        """End it at once (SIGKILL): its ports refuse."""
        if hasattr(self, "_program"):
            await self._program.kill()

    def stop(self) -> None:
        """Let it hang (SIGSTOP): it accepts connections and says nothing."""
        self._program.signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let it go on after `stop` (SIGCONT)."""
        self._program.signal(signal.SIGCONT)

    def reload_certificate(self) -> None:
        """Have it read the files of its certificate again (SIGUSR2), as who renews them does."""
        self._program.signal(signal.SIGUSR2)

    async def _answers(self) -> bool:
        assert self._program.runs, f"turnserver ended:\n{self.log}"
        for port in (self.port, *([self.tls_port] if self.pem else [])):
            try:
                _, writer = await self._network.open_connection(self.host, port)
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
        return True

    async def sessions_end(self, within: float = 15.0) -> None:
        """Wait until every relay that it gave was given back."""

        def balanced() -> bool:
            return self.log.count("ALLOCATE processed, success") <= self.log.count("delete: realm=")

        await eventually(balanced, within)


@asynccontextmanager
async def two_turn_servers() -> AsyncIterator[tuple[TurnServer, TurnServer]]:
    """Two at once."""
    async with TurnServer() as first, TurnServer() as second:
        yield first, second


async def hold_relays(server: TurnServer, count: int, username: str, password: str) -> list[asyncio.DatagramTransport]:
    """Take `count` relays and keep them, as clients do; close what is returned to forget about them."""
    import aioice.turn

    taken = []
    for _ in range(count):
        transport, _protocol = await aioice.turn.create_turn_endpoint(
            asyncio.DatagramProtocol, (server.host, server.port), username, password
        )
        taken.append(transport)
    return taken
