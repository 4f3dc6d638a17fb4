"""What `auralink serve` promises as a process: how it starts, how it refuses to, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from signalling import messages as m
from tests.support.server import RunningServer, running_server


async def join(server: RunningServer, socket: object) -> None:
    """Join with a token of dev mode."""
    wish = json.dumps({"room": "lab", "name": "Ada"}).encode()
    answer = await server.request("/api/dev/token", "POST", wish, {"Content-Type": "application/json"})
    await socket.send(json.dumps({"type": "join", "token": json.loads(answer.body)["token"]}))  # type: ignore[attr-defined]
    assert isinstance(m.parse_server_message(await socket.recv()), m.Welcome)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_in_order(name: str) -> None:
    async with running_server(shutdown_grace=4) as server, server.websocket() as ada:
        await join(server, ada)
        began = time.monotonic()
        server.process.send_signal(signal.Signals[name])
        goodbye = m.parse_server_message(await ada.recv())
        assert isinstance(goodbye, m.Goodbye)
        assert (goodbye.code, goodbye.resume) == ("shutting_down", True)
        await ada.wait_closed()
        assert ada.close_code == 1012
        assert await asyncio.wait_for(server.process.wait(), 4) == 0
        assert time.monotonic() - began < 4
        assert "Traceback" not in server.log


async def test_the_ready_file_says_which_ports_it_took(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    async with running_server(shutdown_grace=1, ready_file=path) as server:
        ready = json.loads(path.read_text())
        assert (ready["pid"], str(ready["port"])) == (server.pid, server.url.rpartition(":")[2])
        assert ready["media_port"] > 0


async def serve(*flags: str) -> tuple[int | None, str]:
    """Start a server that shall refuse to start: its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("auralink")), "serve", *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("AURALINK_", "PYTHONASYNCIO"))},
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, said.decode()


async def test_a_port_that_is_taken_ends_the_start_with_one_sentence() -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        taken, media_taken = str(tcp.getsockname()[1]), str(udp.getsockname()[1])
        for flags in (("--port", taken, "--media-port", "0"), ("--port", "0", "--media-port", media_taken)):
            code, said = await serve(*flags)
            assert (code, said.count("\n")) == (2, 1), said
            assert said.startswith("auralink: ")
            assert "in use" in said
