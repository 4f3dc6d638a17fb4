"""A real `redis-server` on a free port, which a test may kill, stop, starve of memory and bring back."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from .network import HOST, Network
from .ports import free_port
from .program import Program
from .resp import ANSWERS_WITHIN, Reply, RespError, ask
from .waiting import eventually

STARTS_WITHIN = 10.0
ATTEMPTS = 5  # at finding a port that nobody takes in between


class RedisServer:
    """One server on 127.0.0.1 with nothing on disk; it keeps its port for life, over all restarts.

    After `stop` a server accepts connections and says nothing, as a machine that hangs; every method that asks it
    something then raises TimeoutError. `kill` and the end of the block work in any state.
    """

    def __init__(
        self, config: Mapping[str, str | int] | None = None, *, mode: str = "", network: Network = HOST
    ) -> None:
        """`config` holds further directives of redis.conf; `mode` is `--sentinel` for a server that is one."""
        self._network = network
        self.config = dict(config or {})
        self._mode = mode
        self._password = ""
        self.port = 0

    async def __aenter__(self) -> Self:
        self._temporary = TemporaryDirectory(prefix="auralink-redis-")
        self._folder = Path(self._temporary.name)
        try:
            for _ in range(ATTEMPTS):
                self.port = free_port()
                if await self._start():
                    return self
            raise AssertionError(f"redis-server does not start:\n{self.log}")
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        """What a client is told, with the password that is wanted now."""
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id. Raises AssertionError when it does not run."""
        return self._program.pid

    @property
    def log(self) -> str:
        """Everything that it printed so far."""
        return self._program.log

    async def command(self, *arguments: str | int, within: float = ANSWERS_WITHIN) -> Reply:
        """Say a command on a connection of its own and return the answer; texts are strings.

        Raises RespError when it refuses, OSError or EOFError when it is not there, TimeoutError when it is silent.
        """
        return await ask(self.port, *arguments, password=self._password, within=within, network=self._network)

    async def kill(self) -> None:
        """End it at once (SIGKILL): connections are reset, new ones refused, its memory is gone."""
        if hasattr(self, "_program"):
            await self._program.kill()

    def stop(self) -> None:
        """Let it hang (SIGSTOP): connections stay and are even accepted, and nothing is answered."""
        self._program.signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let it go on after `stop` (SIGCONT)."""
        self._program.signal(signal.SIGCONT)

    async def restart(self, empty: bool = True) -> None:
        """Come back on the same port, killed first if it runs: empty, or with what it held when this was called.

        Of a server that was killed before, nothing is left to come back with.
        """
        if not empty and self._program.runs:
            await self.command("SAVE")
        await self.kill()
        if empty:
            (self._folder / "dump.rdb").unlink(missing_ok=True)
        assert await self._start(), f"redis-server does not start again:\n{self.log}"

    async def flushall(self) -> None:
        """Forget everything."""
        await self.command("FLUSHALL")

    async def replica_of(self, other: RedisServer) -> None:
        """Follow `other`, and return when everything that it holds is here; writes are refused from now on."""
        await self.command("REPLICAOF", "127.0.0.1", other.port)
        await eventually(self._follows, STARTS_WITHIN)

    async def promote(self) -> None:
        """Follow nobody any longer, and take writes."""
        await self.command("REPLICAOF", "NO", "ONE")

    async def set_maxmemory(self, size: int) -> None:
        """Allow `size` bytes: with 1 every write is refused (OOM), with 0 there is no limit."""
        await self.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", size)

    async def set_password(self, password: str) -> None:
        """Want this password from now on, also after a restart; an empty one wants none.

        Connections that exist go on: `kill_clients` shuts them out.
        """
        await self.command("CONFIG", "SET", "requirepass", password)
        self._password = password
        self.config["requirepass"] = f'"{password}"'

    async def kill_clients(self) -> None:
        """Close the connections of all clients; they may come back at once."""
        await self.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await self.command("CLIENT", "KILL", "TYPE", "pubsub")

    async def info(self, section: str) -> dict[str, str]:
        """What INFO tells in one section."""
        text = await self.command("INFO", section)
        assert isinstance(text, str)
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def _start(self) -> bool:
        """Start it and return whether it got the port."""
        config = {"bind": "127.0.0.1", "port": self.port, "dir": self._folder, "daemonize": "no"}
        if not self._mode:
            # A replica that comes does not wait for a second one to come.
            config |= {"save": '""', "appendonly": "no", "repl-diskless-sync-delay": 0}
        lines = [f"{name} {value}" for name, value in (config | self.config).items()]
        file = self._folder / "redis.conf"
        if not (self._mode and file.exists()):  # a sentinel keeps what it knows in this file
            file.write_text("\n".join(lines) + "\n")
        command = self._network.command("redis-server", str(file), *([self._mode] if self._mode else []))
        self._program = Program(command, self._folder)
        await self._program.start()
        return await eventually(self._outcome, STARTS_WITHIN, every=0.02) == "ready"

    async def _outcome(self) -> str | None:
        if not self._program.runs:
            assert "Address already in use" in self.log, f"redis-server ended:\n{self.log}"
            return "port taken"
        try:
            return "ready" if await self.command("PING") == "PONG" and await self._listens_itself() else None
        except (OSError, EOFError, RespError):
            return None

    async def _listens_itself(self) -> bool:
        """Whether it is this process that answers on the port, and not somebody else's."""
        return (await self.info("server")).get("process_id") == str(self._program.pid)

    async def _follows(self) -> bool:
        replication = await self.info("replication")
        return replication.get("master_link_status") == "up" and replication.get("master_sync_in_progress") == "0"


@asynccontextmanager
async def redis_server(network: Network = HOST, **config: str | int) -> AsyncIterator[RedisServer]:
    """A server for as long as the block lasts. `config` are directives of redis.conf, with `_` for `-`."""
    directives = {name.replace("_", "-"): value for name, value in config.items()}
    async with RedisServer(directives, network=network) as server:
        yield server
