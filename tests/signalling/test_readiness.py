"""When an instance should be sent people, and that what all instances share never makes one unready."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from signalling import messages as m
from signalling.loop_lag import INTERVAL, LATE, LoopLag
from state.modes import Mode
from tests.support.fake_media import FakeMediaPlane
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually

from .conftest import House, Open


async def ready(home: House) -> tuple[int, dict[str, Any]]:
    async with home.http() as client:
        found = await client.get("/health/ready")
    assert found.headers["Content-Type"] == "application/health+json"
    assert found.headers["Cache-Control"] == "no-store"
    return found.status_code, found.json()


async def test_an_instance_that_serves_is_ready_at_both_doors(shared_house: Open) -> None:
    async with shared_house() as home, home.operators() as operators:
        assert await ready(home) == (200, {"status": "pass", "serviceId": "auralink"})
        for path in ("/health/live", "/health/ready"):
            assert (await operators.get(path)).status_code == 200


async def test_without_redis_an_instance_stays_ready_and_says_what_is_away(shared_house: Open) -> None:
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        assert (await ready(home))[1]["status"] == "pass"
        await redis.kill()
        await home.is_in(Mode.STANDALONE)
        status, found = await ready(home)
        assert (status, found["status"], found["notes"]) == (200, "warn", ["redis: standalone"])


async def test_nobody_is_sent_where_media_does_not_answer(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = FakeMediaPlane.stats

    async def stuck(self: FakeMediaPlane) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("signalling.readiness.STATS_TIMEOUT", 0.05)
    monkeypatch.setattr("signalling.readiness.KEPT", 0.0)
    monkeypatch.setattr(FakeMediaPlane, "stats", stuck)
    async with house() as home, home.http() as client:
        status, found = await ready(home)
        assert (status, found["status"]) == (503, "fail")
        assert "media plane" in found["output"]
        assert (await client.get("/health/live")).status_code == 200
        monkeypatch.setattr(FakeMediaPlane, "stats", answers)
        assert (await ready(home))[0] == 200


async def test_many_who_ask_at_once_cost_the_media_plane_one_answer(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    answers = FakeMediaPlane.stats

    async def counted(self: FakeMediaPlane) -> Any:
        nonlocal asked
        asked += 1
        return await answers(self)

    monkeypatch.setattr("signalling.readiness.KEPT", 60.0)
    monkeypatch.setattr(FakeMediaPlane, "stats", counted)
    async with house() as home, home.http() as client:
        found = await asyncio.gather(*(client.get("/health/ready") for _ in range(20)))
    assert {answer.status_code for answer in found} == {200}
    assert asked == 1


async def test_nobody_is_sent_where_the_event_loop_has_been_late_for_long(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoopLag, "late_for", 9.9)
    async with house() as home:
        assert (await ready(home))[0] == 200
        monkeypatch.setattr(LoopLag, "late_for", 10.0)
        status, found = await ready(home)
        assert status == 503
        assert "event loop" in found["output"]


def test_the_event_loop_is_late_for_as_long_as_no_measurement_is_good() -> None:
    lag = LoopLag(lambda late: None)
    for late in (0.6, 3.0):
        lag.measured(late)
    assert lag.late_for == pytest.approx(3.6 + 2 * INTERVAL)
    lag.measured(LATE)
    assert lag.late_for == 0.0


async def test_nobody_is_sent_to_an_instance_that_is_about_to_end(house: Open) -> None:
    async with (
        house(shutdown_grace=4.0, migrate_to="ws://127.0.0.1:9/ws") as home,
        home.member("ada") as ada,
        home.http() as client,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(home.server.stop())
        await ada.hear(m.Migrate)
        found = await client.get("/health/ready")
        assert (found.status_code, found.json()["status"]) == (503, "fail")
        assert "about to end" in found.json()["output"]
        assert found.headers["Retry-After"] == found.headers["X-Retry-After"] == "5"
        assert (await client.get("/health/live")).status_code == 200
        await ada.say(type="leave")


async def test_detailed_health_tells_of_redis_and_of_the_other_instances(shared_house: Open) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url, node="one") as one,
        shared_house(redis_url=redis.url, node="two", region="north") as two,
        one.operators() as client,
    ):
        for home in (one, two):
            await home.is_in(Mode.CLUSTERED)
        await eventually(lambda: len(one.sharing.members.nodes) == 1)
        found = (await client.get("/health/detailed")).json()
        assert (found["status"], found["degraded"]) == ("pass", [])
        (nodes,) = found["checks"]["redis:nodes"]
        assert (nodes["observedValue"], nodes["node"].startswith("one-")) == (1, True)
        assert nodes["others"] == [
            {"node": two.sharing.record.node, "url": two.sharing.record.url, "region": "north", "live": True}
        ]

        await redis.kill()
        await one.is_in(Mode.STANDALONE)
        answer = await client.get("/health/detailed")
        found, checks = answer.json(), answer.json()["checks"]
        assert (answer.status_code, found["status"]) == (200, "warn")
        (circuit,), (mode,), (lag,) = (checks[f"redis:{name}"] for name in ("circuit", "mode", "replicationLag"))
        assert circuit["observedValue"] in ("open", "half_open")
        assert circuit["last_error"] == "refused"
        assert "refused" in circuit["reason"]
        assert 0 <= circuit["next_trial"] <= 30
        assert time.time() - 30 < circuit["since"] <= time.time()
        assert (mode["observedValue"], mode["status"]) == ("standalone", "warn")
        assert lag["observedUnit"] == "s"
        (record,) = found["degraded"]
        assert (record["dependency"], record["mode"]) == ("redis", "standalone")
        assert record["since"] == pytest.approx(mode["since"], abs=0.5)


# ------------------------------------------------------------------------------------------------------- headers

HEADERS = ("X-Degraded-Mode", "X-Fallback-Used", "X-Circuit-State")


async def answers(home: House) -> list[httpx.Response]:
    """One of each kind of answer."""
    async with home.http() as client, home.operators() as operators:
        return [
            await client.get("/"),
            await client.get("/nothing"),
            await client.get("/health/live"),
            await client.get("/ws", headers={"Connection": "Upgrade", "Upgrade": "websocket", **HANDSHAKE}),
            await operators.get("/health/detailed"),
            await operators.get("/api/rooms"),
            await operators.get("/metrics"),
        ]


HANDSHAKE = {
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Origin": "http://evil.example",
}


async def test_every_answer_says_that_it_was_given_in_a_degraded_mode_and_none_does_when_all_is_well(
    shared_house: Open,
) -> None:
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        well = await answers(home)
        assert [answer.status_code for answer in well] == [200, 404, 200, 403, 200, 200, 200]
        assert not any(name in answer.headers for answer in well for name in HEADERS)
        await redis.kill()
        await home.is_in(Mode.STANDALONE)
        for answer in await answers(home):
            assert [answer.headers.get(name) for name in HEADERS[:2]] == ["true", "redis-memory"], answer.url
            assert answer.headers["X-Circuit-State"] in ("open", "half_open")


async def test_an_instance_that_is_alone_by_choice_is_not_degraded(house: Open) -> None:
    async with house() as home, home.http() as client:
        found = await client.get("/health/detailed")
        assert not any(name in found.headers for name in HEADERS)
        assert not [name for name in found.json()["checks"] if name.startswith("redis")]
