"""A real `auralink serve` in a process of its own, on free ports, watched from the first line to the exit code."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from .network import HOST, Network
from .waiting import eventually, in_time

STARTS_WITHIN = 10.0
ENDS_WITHIN = 10.0


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class RunningServer:
    """A server that runs. `url` is the address that it printed."""

    url: str
    process: asyncio.subprocess.Process
    log_file: Path
    network: Network = HOST

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def websocket_url(self) -> str:
        """Where the protocol is spoken."""
        return self.url.rstrip("/").replace("http", "ws", 1) + "/ws"

    @property
    def operators_url(self) -> str:
        """Where operators are served: on a listener of their own, else beside everybody."""
        found = re.search(r"^Operators are served at (\S+)$", self.log, re.MULTILINE)
        return found[1] if found else self.url

    @property
    def log(self) -> str:
        """Everything that the server printed so far."""
        return self.log_file.read_text()

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    @property
    def open_files(self) -> int:
        """How many file descriptors it holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @property
    def cpu_time(self) -> float:
        """CPU time used so far, user and system, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def request(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        url: str = "",
    ) -> Response:
        """Make one HTTP request. Raises OSError when nobody answers."""
        return await asyncio.to_thread(self._request, url or self.url, path, method, body, headers or {})

    def _request(self, url: str, path: str, method: str, body: bytes | None, headers: dict[str, str]) -> Response:
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
        connection.sock = self.network.connect_now(address.hostname, address.port)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    async def metrics(self) -> dict[str, float]:
        """All metrics now: `name` or `name{label="value"}` -> value."""
        text = (await self.request("/metrics", url=self.operators_url)).body.decode()
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    @asynccontextmanager
    async def websocket(self, origin: str | None = None) -> AsyncIterator[ClientConnection]:
        """A WebSocket that speaks `auralink.v1` and has said nothing yet."""
        address = urlsplit(self.url)
        connected = await self.network.connect(address.hostname or "", address.port or 80)
        connected.setblocking(False)
        async with connect(
            self.websocket_url,
            sock=connected,
            subprotocols=["auralink.v1"],  # type: ignore[list-item]
            origin=origin,  # type: ignore[arg-type]
            compression=None,
            max_size=None,
            proxy=None,
        ) as socket:
            yield socket

    async def stop(self, within: float = ENDS_WITHIN) -> int:
        """Ask the server to end and return its exit code. Raises AssertionError when it does not end in time."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            return await in_time(self.process.wait(), within)
        except TimeoutError:
            raise AssertionError(f"the server ran on for {within} s after SIGTERM; its log:\n{self.log}") from None


@asynccontextmanager
async def running_server(
    *,
    network: Network = HOST,
    environment: dict[str, str] | None = None,
    files: tuple[int, int] | None = None,
    **options: object,
) -> AsyncIterator[RunningServer]:
    """Run `auralink serve` until the block ends; then it must exit with 0 in time and leave no process behind.

    `options` are flags: `resume_window=2` is `--resume-window 2`, and `True` is a flag without a value. Ports are free
    ones unless named, that of operators too. `files` is how many it may open, softly and at all. A test that ends the
    server itself is free to: by `stop`, or a signal.
    """
    options = {"port": 0, "media_port": 0} | options
    if "keys" in options or "AURALINK_KEYS" in (environment or {}):
        options = {"admin_bind": "127.0.0.1:0"} | options  # else all would want the same one
    flags: list[str] = []
    for name, value in options.items():
        flags += ["--" + name.replace("_", "-"), *([] if value is True else [str(value)])]
    limited = ["prlimit", "--nofile={}:{}".format(*files)] if files else []
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AURALINK_", "PYTHONASYNCIO"))}
    with tempfile.TemporaryDirectory(prefix="auralink-") as folder:
        log_file = Path(folder) / "log"
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *limited,
                *network.command(str(Path(sys.executable).with_name("auralink")), "serve", *flags),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=own | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
                start_new_session=True,
            )
        try:
            url = await eventually(lambda: _printed_address(process, log_file), within=STARTS_WITHIN, every=0.02)
            server = RunningServer(url, process, log_file, network)
            yield server
            if process.returncode is None:
                code = await server.stop()
                assert code == 0, f"the server exited with {code}; its log:\n{server.log}"
            assert not _group_lives(process.pid), "the server left a process behind"
        finally:
            if _group_lives(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _printed_address(process: asyncio.subprocess.Process, log_file: Path) -> str | None:
    log = log_file.read_text()
    assert process.returncode is None, f"the server did not start:\n{log}"
    found = re.search(r"\bhttps?://[\w.\[\]:-]+:\d+", log)
    return found[0] if found else None


def _group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True
