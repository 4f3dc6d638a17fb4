"""What operators are served, and where."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from signalling.admin_tokens import AdminTokens
from signalling.app import running
from signalling.config import Settings
from signalling.keys import secret_key
from signalling.loop_lag import LoopLag
from signalling.option_values import Bind, ConfigError
from tests.support.certificates import make
from tests.support.fake_media import FakeMediaPlane
from tests.support.server import running_server

from .conftest import House, Open

KEYS = (secret_key("a", b"a secret that is long enough to be one"),)
ADMIN_KEYS = (secret_key("op", b"another secret that is long enough to be one"),)
WITH_KEYS = {"keys": KEYS, "host": "127.0.0.1"}
THEIRS = ("/metrics", "/health/detailed")


def bearer(lifetime: float = 60.0, name: str = "") -> dict[str, str]:
    token = AdminTokens(ADMIN_KEYS).issue(wall=time.time(), lifetime=lifetime, name=name)
    return {"Authorization": f"Bearer {token}"}


def operators(home: House) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{home.server.admin_port}")


async def test_in_dev_mode_all_is_on_the_one_port(house: Open) -> None:
    async with house(admin_bind=None) as home, home.http() as client:
        assert home.server.admin_port == 0
        for path in THEIRS:
            assert (await client.get(path)).status_code == 200


async def test_with_keys_members_reach_liveness_only(house: Open) -> None:
    async with house(**WITH_KEYS, admin_bind=Bind("127.0.0.1", 0)) as home:
        async with home.http() as client:
            assert (await client.get("/health/live")).status_code == 200
            for path in THEIRS:
                assert (await client.get(path, headers=bearer())).status_code == 404
        async with operators(home) as client:
            for path in ("/health/live", *THEIRS):
                assert (await client.get(path)).status_code == 200
            for path in ("/", "/ws", "/api/schema", "/nothing"):
                assert (await client.get(path)).json()["code"] == "http_404"


async def test_detailed_health_tells_what_there_is(house: Open) -> None:
    async with house() as home, home.member("ada"), home.http() as client:
        found = await client.get("/health/detailed")
        assert found.headers["Content-Type"] == "application/health+json"
        assert found.headers["Cache-Control"] == "no-store"
        assert found.json()["status"] == "pass"
        assert found.json()["checks"]["signalling:participants"][0]["observedValue"] == 1


async def test_health_fails_while_media_does_not_answer_and_metrics_tell_the_rest(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(self: FakeMediaPlane) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("signalling.operators.STATS_TIMEOUT", 0.05)
    monkeypatch.setattr(FakeMediaPlane, "stats", stuck)
    async with house() as home, home.http() as client:
        found = await client.get("/health/detailed")
        assert (found.status_code, found.json()["status"]) == (503, "fail")
        assert "auralink_rooms 0.0" in (await client.get("/metrics")).text


async def test_the_event_loop_s_lag_is_measured() -> None:
    told: list[float] = []
    lag = LoopLag(told.append)
    async with asyncio.TaskGroup() as tasks:
        measuring = tasks.create_task(lag.measure())
        await asyncio.sleep(0.1)
        time.sleep(0.3)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(0.05)
        measuring.cancel()
    assert lag.worst == max(told) > 0.1


# ------------------------------------------------------------------------------------------------- where it listens


async def test_a_taken_port_that_was_asked_for_ends_the_start_and_leaves_nothing_open() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = Bind("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigError, match=rf"--admin-bind {bind}: .* in use\.$"):
            async with running(Settings(**WITH_KEYS, port=0, admin_bind=bind), FakeMediaPlane()):  # type: ignore[arg-type]
                pass


async def test_a_taken_port_that_was_not_asked_for_is_told_and_done_without(
    house: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("signalling.config.DEFAULT_ADMIN_BIND", Bind("127.0.0.1", taken.getsockname()[1]))
        async with house(**WITH_KEYS, admin_bind=None) as home, home.http() as client:
            assert home.server.admin_port == 0
            assert (await client.get("/health/live")).status_code == 200
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1
    assert "--admin-bind" in warned[0]


async def test_beyond_this_machine_operators_are_served_over_tls_if_there_is_any(house: Open, tmp_path: Path) -> None:
    pem = make(tmp_path, "server")
    files = {"tls_cert": str(pem.chain), "tls_key": str(pem.key)}
    async with (
        house(**WITH_KEYS, **files, admin_bind=Bind("0.0.0.0", 0)) as home,
        httpx.AsyncClient(verify=pem.trust()) as client,
    ):
        assert (await client.get(f"https://localhost:{home.server.admin_port}/metrics")).status_code == 200
    async with house(**WITH_KEYS, **files, admin_bind=Bind("127.0.0.1", 0)) as home, operators(home) as client:
        assert (await client.get("/metrics")).status_code == 200


async def test_a_real_server_says_where_operators_are_served(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    keys = "a:" + "0123456789abcdef" * 2
    async with running_server(keys=keys, host="127.0.0.1", ready_file=path, shutdown_grace=1) as server:
        metrics = await server.metrics()
        assert metrics["auralink_event_loop_lag_seconds_count"] >= 0
        assert server.operators_url == f"http://127.0.0.1:{json.loads(path.read_text())['admin_port']}"
        assert server.log.index("AuraLink is ready") < server.log.index("Operators are served at")
        assert (await server.request("/metrics")).status == 404
