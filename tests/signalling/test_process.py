"""What `auralink serve` promises as a process: how it starts, how it refuses to, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from signalling import messages as m
from signalling.admin_tokens import AdminTokens
from signalling.config import load
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.server import RunningServer, running_server
from tests.support.waiting import in_time


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
        assert await in_time(server.process.wait(), 4) == 0
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
        said, _ = await in_time(process.communicate(), 10)
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


async def test_at_debug_level_no_token_is_logged_however_it_came() -> None:
    keys, admin_keys = f"a:{secrets.token_hex(16)}", f"op:{secrets.token_hex(16)}"
    async with running_server(keys=keys, admin_keys=admin_keys, host="127.0.0.1", log_level="debug") as server:
        grant = Grant(frozenset(SOURCES))
        token, operator = (
            Tokens(load({"keys": keys}, {}).keys).issue(
                room="lab", identity="ada", wall=time.time(), lifetime=60, grant=grant
            ),
            AdminTokens(load({"admin_keys": admin_keys}, {}).admin_keys).issue(
                wall=time.time(), lifetime=60, name="ops"
            ),
        )
        async with server.websocket() as ada:
            await ada.send(json.dumps({"type": "join", "token": token}))
            welcome = m.parse_server_message(await ada.recv())
            assert isinstance(welcome, m.Welcome)
            for path, method, shown, status in (
                (f"/ws?token={token}", "GET", "", 404),
                (f"/api/rooms/{token}", "GET", operator, 400),
                (f"/api/rooms/lab/participants/ada?reason={token}", "GET", operator, 404),
                ("/api/rooms", "GET", token, 401),
                ("/metrics", "GET", operator[:-2] + "xx", 401),
                ("/api/rooms/lab/participants/ada", "DELETE", operator, 204),
            ):
                headers = {"Authorization": f"Bearer {shown}"} if shown else {}
                answer = await server.request(path, method, headers=headers)
                assert (path, answer.status) == (path, status)
        log = server.log
    assert "Admin API: DELETE '/api/rooms/lab/participants/ada' by 'op/ops' from 127.0.0.1: 204" in log
    hidden = [token, operator, operator[:-2], welcome.resume_token, keys[2:], admin_keys[3:]]
    hidden += [part for text in (token, operator) for part in text.split(".")[1:]]
    assert [text for text in hidden if text in log] == []
