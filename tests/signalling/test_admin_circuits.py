"""What operators do to circuits, and what becomes of the sharing of rooms then."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from signalling.keys import secret_key
from signalling.option_values import Bind
from state.modes import Mode
from tests.support.redis_server import RedisServer, redis_server
from tests.support.waiting import eventually

from .conftest import SHARED_KEYS, House, Open

BASE = "/admin/circuit-breaker"
ADMIN_KEYS = (secret_key("op", b"another secret that is long enough to be one"),)


async def ask(home: House, method: str, path: str = "", body: Any = None, **headers: str) -> httpx.Response:
    async with home.operators() as client:
        return await client.request(method, BASE + path, json=body, headers=headers)


async def circuit(home: House) -> dict[str, Any]:
    """The circuit to Redis, as an operator sees it."""
    (found,) = (await ask(home, "GET")).json()["circuits"]
    assert found["dependency"] == "redis"
    assert isinstance(found, dict)
    return found


async def test_a_circuit_is_held_open_with_a_reason_until_it_is_released(
    shared_house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        found = await circuit(home)
        assert (found["state"], found["forced"], found["next_trial"], found["reason"]) == ("closed", False, None, None)

        forced = await ask(home, "POST", "/force-open", {"dependency": "redis", "reason": "Redis is being moved."})
        assert forced.status_code == 200
        (found,) = forced.json()["circuits"]
        assert (found["state"], found["forced"], found["reason"]) == ("open", True, "Redis is being moved.")
        await home.is_in(Mode.STANDALONE)
        assert home.server.conference.degraded["redis"].reason == "Redis is being moved."
        assert (await circuit(home))["calls"]["success"] == found["calls"]["success"]

        released = await ask(home, "POST", "/release")
        assert released.status_code == 200
        assert not released.json()["circuits"][0]["forced"]
        await eventually(lambda: closes(home), within=0.9, every=0.02)  # not a second later, as it would be by itself
        await home.is_in(Mode.CLUSTERED)
    said = [record.getMessage() for record in caplog.records]
    assert "Circuit to redis: forced open by 'local' (Redis is being moved.)" in said
    assert "Circuit to redis: released by 'local'" in said
    assert any(line.startswith(f"Admin API: POST '{BASE}/force-open' by 'local'") for line in said)


async def test_a_reset_closes_a_circuit_at_once_and_the_store_is_tried(shared_house: Open) -> None:
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        await ask(home, "POST", "/force-open", {"dependency": "redis"})
        await home.is_in(Mode.STANDALONE)
        before = (await circuit(home))["calls"]["success"]
        (found,) = (await ask(home, "POST", "/reset", {"dependency": "redis"})).json()["circuits"]
        assert (found["state"], found["forced"], found["last_error"]) == ("closed", False, None)
        await eventually(lambda: succeeded_since(home, before), within=0.9, every=0.02)
        await home.is_in(Mode.CLUSTERED)


async def test_a_reset_does_not_pretend_that_the_dependency_is_there(shared_house: Open) -> None:
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        await redis.kill()
        await home.is_in(Mode.STANDALONE)
        assert (await ask(home, "POST", "/reset")).json()["circuits"][0]["state"] == "closed"
        await eventually(lambda: opens(home))
        assert home.sharing.modes.mode is Mode.STANDALONE


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/force-open", {"dependency": "turn"}, 404, "unknown_dependency"),
        ("POST", "/reset", {"dependency": "turn"}, 404, "unknown_dependency"),
        ("POST", "/release", {"dependency": "turn"}, 404, "unknown_dependency"),
        ("POST", "/force-open", {}, 400, "invalid_request"),
        ("POST", "/force-open", {"dependency": "redis", "reason": "x" * 201}, 400, "invalid_request"),
        ("POST", "/force-open", {"dependency": "redis", "reason": "a\nb"}, 400, "invalid_request"),
        ("POST", "/reset", {"dependency": 7}, 400, "invalid_request"),
        ("POST", "/reset", [], 400, "invalid_request"),
        ("POST", "/reset", {"x": "y" * 5000}, 413, "body_too_large"),
        ("POST", "/nothing", None, 404, "http_404"),
        ("POST", "", None, 405, "http_405"),
        ("GET", "/reset", None, 405, "http_405"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_changes_nothing(
    method: str, path: str, body: Any, status: int, code: str, shared_house: Open
) -> None:
    async with shared_house(redis_url="redis://127.0.0.1:1") as home:
        refused = await ask(home, method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert not home.sharing.guard.forced


async def test_an_instance_that_shares_with_nobody_has_no_circuit(shared_house: Open) -> None:
    async with shared_house() as home:
        assert (await ask(home, "GET")).json() == {"circuits": []}
        assert (await ask(home, "POST", "/reset")).json() == {"circuits": []}
        assert (await ask(home, "POST", "/reset", {"dependency": "redis"})).status_code == 404


async def test_circuits_are_for_operators_only(shared_house: Open, house: Open) -> None:
    async with shared_house() as home:
        assert (await ask(home, "POST", "/reset", Origin="http://evil.example")).json()["code"] == "origin_refused"
        assert (await ask(home, "GET", Host="rebound.example")).json()["code"] == "host_refused"
        async with home.http() as client:  # members have no such door
            assert (await client.get(BASE)).status_code == 404
            assert (await client.post(BASE + "/reset")).status_code in (404, 405)
    options = {"keys": SHARED_KEYS, "host": "127.0.0.1", "admin_keys": ADMIN_KEYS, "admin_bind": Bind("0.0.0.0", 0)}
    async with house(**options) as home, home.http() as client:
        assert (await client.post(BASE + "/reset")).json()["code"] == "token_missing"
        assert (await ask(home, "POST", "/reset")).json()["code"] == "token_missing"
    async with house() as home, home.http() as client:  # in dev mode all is on the one port, before the page
        assert (await client.get(BASE)).json() == {"circuits": []}


async def closes(home: House) -> bool:
    return (await circuit(home))["state"] == "closed"


async def opens(home: House) -> bool:
    return (await circuit(home))["state"] != "closed"


async def succeeded_since(home: House, before: int) -> bool:
    return bool((await circuit(home))["calls"]["success"] > before)


# --------------------------------------------------------------------------------- people who are at other instances


async def test_operators_see_and_moderate_people_at_other_instances_and_are_told_when_they_cannot(
    shared_house: Open,
) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url, node="one") as one,
        shared_house(redis_url=redis.url, node="two") as two,
    ):
        await both_know_each_other(redis, one, two)
        async with one.member("ada", stay=True), two.member("bob", stay=True) as bob, one.operators() as client:
            await eventually(lambda: one.server.conference.cluster.elsewhere("room"))  # type: ignore[arg-type]
            found = {
                member["identity"]: member for member in (await client.get("/api/rooms/room")).json()["participants"]
            }
            assert (found["ada"]["presence"], found["ada"]["node"]) == ("here", one.sharing.record.node)
            assert (found["bob"]["presence"], found["bob"]["node"]) == ("elsewhere", two.sharing.record.node)
            assert (found["bob"]["id"], found["bob"]["permissions"]) == (bob.welcome.participant, None)
            (room,) = (await client.get("/api/rooms")).json()["rooms"]
            assert (room["participants"], room["elsewhere"]) == (1, 1)

            muted = await client.post("/api/rooms/room/participants/bob/permissions", json={"chat": False})
            assert muted.status_code == 204
            await eventually(lambda: chat_is_off(two, bob.welcome.participant))

            await client.post(BASE + "/force-open", json={"dependency": "redis", "reason": "a test"})
            await one.is_in(Mode.STANDALONE)
            found = {
                member["identity"]: member for member in (await client.get("/api/rooms/room")).json()["participants"]
            }
            assert found["bob"]["presence"] == "unknown"
            refused = await client.delete("/api/rooms/room/participants/bob")
            assert (refused.status_code, refused.json()["code"]) == (503, "elsewhere_unreachable")
            assert refused.headers["Retry-After"] == refused.headers["X-Retry-After"] == "5"
            assert refused.headers["X-Circuit-State"] == "open"

            await client.post(BASE + "/release")
            await one.is_in(Mode.CLUSTERED)
            await eventually(lambda: one.server.conference.cluster.elsewhere("room"))  # type: ignore[arg-type]
            assert (await client.delete("/api/rooms/room/participants/bob?reason=Enough.")).status_code == 204
            await eventually(lambda: bob.welcome.participant not in two.server.conference.sessions)
            await eventually(lambda: not one.server.conference.cluster.elsewhere("room"))  # type: ignore[arg-type]
            assert (await client.delete("/api/rooms/room/participants/bob")).json()["code"] == "unknown_participant"


async def both_know_each_other(redis: RedisServer, *homes: House) -> None:
    for home in homes:
        await home.is_in(Mode.CLUSTERED)
        await eventually(lambda home=home: len(home.sharing.members.nodes) == len(homes) - 1)  # type: ignore[misc]


def chat_is_off(home: House, participant: str) -> bool:
    session = home.server.conference.sessions.get(participant)  # type: ignore[call-overload]
    return session is not None and not session.grant.chat
