"""The OpenAPI document is valid, tells of every endpoint and of no other, and what is answered fits it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema.protocols import Validator
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from signalling import admin, http
from signalling import messages as m
from signalling.openapi import FOR_EVERYBODY, document
from state.modes import Mode
from tests.support.redis_server import redis_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

from .conftest import House, Open

DOCUMENT = document("1.2.3")
METHODS = ("get", "post", "put", "delete")
TOLD = {(method, path) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item}


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT)  # raises otherwise


def endpoints_of_rooms() -> set[tuple[str, str]]:
    """Those that the admin API leads by itself: one `case` each."""
    tree = ast.parse(Path(admin.__file__).read_text())
    (match,) = (node for node in ast.walk(tree) if isinstance(node, ast.Match))
    found = set()
    for case in match.cases:
        assert isinstance(case.pattern, ast.MatchSequence)
        method, *parts = [
            ast.literal_eval(part.value) if isinstance(part, ast.MatchValue) else f"{{{part.name}}}"
            for part in case.pattern.patterns
            if isinstance(part, ast.MatchValue | ast.MatchAs)
        ]
        found.add((method.lower(), "/".join([admin.BASE, *parts])))
    return found


async def test_every_endpoint_is_in_it_and_no_other(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Starlette] = []
    build = http.build

    def remember(**options: Any) -> Starlette:
        built.append(build(**options))
        return built[0]

    monkeypatch.setattr(http, "build", remember)
    async with house():  # in dev mode all is on the main port
        pass
    served = {("get", route.path) for route in built[0].routes if isinstance(route, WebSocketRoute)}
    for route in built[0].routes:
        if isinstance(route, Route) and not route.path.startswith(admin.BASE):
            served |= {(method.lower(), route.path) for method in (route.methods or set()) - {"HEAD"}}
    assert served | endpoints_of_rooms() == TOLD


async def test_what_is_for_operators_is_there_for_nobody_else(shared_house: Open) -> None:
    async with shared_house() as home, home.http() as members, home.operators() as operators:
        for path, item in DOCUMENT["paths"].items():
            if "get" not in item or path in ("/ws", "/api/rooms/{room}"):
                continue
            assert (await members.get(path)).status_code == (200 if path in FOR_EVERYBODY else 404), path
            if path not in FOR_EVERYBODY or path.startswith("/health") or path == "/api/openapi.json":
                assert (await operators.get(path)).status_code == 200, path


# ------------------------------------------------------------------------------------------------------ the answers


def validator(schema: dict[str, Any]) -> Validator:
    checked: Validator = OAS31Validator(schema | {"components": DOCUMENT["components"]})
    return checked


def resolved(told: dict[str, Any]) -> dict[str, Any]:
    """A response, or what it refers to."""
    reference = told.get("$ref")
    return DOCUMENT["components"]["responses"][reference.rpartition("/")[2]] if reference else told


def fits(response: httpx.Response, method: str, path: str) -> None:
    """Assert that the document knows of this answer."""
    operation = DOCUMENT["paths"][path][method.lower()]
    assert str(response.status_code) in operation["responses"], f"{method} {path}: {response.status_code}"
    told = resolved(operation["responses"][str(response.status_code)])
    if "content" not in told:
        assert response.content == b""
        return
    ((media, content),) = told["content"].items()
    assert response.headers["Content-Type"].partition(";")[0] == media
    if "json" in media:
        errors = [error.message for error in validator(content["schema"]).iter_errors(response.json())]
        assert not errors, f"{method} {path} {response.status_code}: {errors}"
    if "Retry-After" in told.get("headers", {}):
        assert response.headers["Retry-After"] == response.headers["X-Retry-After"]


class Visitor:
    """Asks, and holds each answer to the document."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.seen: set[tuple[str, str, int]] = set()

    async def ask(self, method: str, path: str, status: int, body: Any = None, query: str = "", **names: str) -> Any:
        """Ask for the endpoint with this path in the document, which must answer with this status."""
        response = await self._client.request(method, path.format(**names) + query, json=body)
        assert response.status_code == status, response.text
        fits(response, method, path)
        self.seen.add((method.lower(), path, status))
        return response


ROOM = "/api/rooms/{room}"
ADA = ROOM + "/participants/{identity}"
BASE = "/admin/circuit-breaker"


async def test_every_endpoint_answers_as_the_document_says(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.http() as client:
        await ada.say(type="offer", sdp="offer", tracks=[{"mid": "0", "source": "microphone"}])
        await ada.hear(m.SdpAnswer)
        visitor = Visitor(client)
        ask = visitor.ask
        room, there = {"room": "room"}, {"room": "room", "identity": "ada"}
        for path in ("/health/live", "/health/ready", "/health/detailed", "/metrics", "/api/schema"):
            await ask("GET", path, 200)
        assert (await ask("GET", "/api/openapi.json", 200)).json()["paths"].keys() == DOCUMENT["paths"].keys()
        await ask("POST", "/api/dev/token", 200, {"room": "room", "name": "Bob"})
        await ask("POST", "/api/dev/token", 400, {"room": "room"})
        await ask("GET", BASE, 200)
        await ask("POST", BASE + "/reset", 200)
        await ask("POST", BASE + "/release", 200)
        await ask("POST", BASE + "/force-open", 404, {"dependency": "redis"})
        await ask("GET", "/api/rooms", 200)
        await ask("GET", "/api/rooms", 400, query="?limit=0")
        await ask("PUT", ROOM + "/metadata", 204, {"title": "Monday"}, **room)
        await ask("POST", ROOM + "/metadata", 204, {"title": "Tuesday"}, **room)
        await ask("POST", ROOM + "/lock", 204, **room)
        await ask("POST", ROOM + "/unlock", 204, **room)
        await ask("POST", ROOM + "/waiting-room", 204, {"on": True}, **room)
        async with home.socket() as bob, home.socket() as eve:
            for caller, identity in ((bob, "bob"), (eve, "eve")):
                await caller.say(type="join", token=home.token(identity))
                await caller.hear(m.Waiting)
            assert len((await ask("GET", ROOM, 200, **room)).json()["waiting"]) == 2
            await ask("POST", ROOM + "/waiting/{identity}/admit", 204, room="room", identity="bob")
            await ask("POST", ROOM + "/waiting/{identity}/deny", 204, room="room", identity="eve")
        await ask("POST", ADA + "/permissions", 204, {"chat": False}, **there)
        await ask("POST", ADA + "/permissions", 400, {}, **there)
        await ask("POST", ADA + "/permissions", 413, {"x": "y" * 5000}, **there)
        await ask("POST", ADA + "/mute", 204, **there)
        await ask("DELETE", ADA, 204, query="?ban=1", **there)
        await ask("DELETE", ADA, 404, **there)
        await ask("DELETE", ROOM + "/bans/{identity}", 204, **there)
        await ask("GET", ROOM, 404, room="nobody")
        await ask("DELETE", ROOM, 204, **room)  # bob's socket is gone, and his session waits for him
    succeeded = {(method, path) for method, path, status in visitor.seen if status < 400}
    assert TOLD - succeeded == {("get", "/ws"), ("post", BASE + "/force-open")}  # one is no HTTP, one is below


async def test_what_is_answered_while_redis_is_away_fits_too(shared_house: Open) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url) as one,
        shared_house(redis_url=redis.url) as two,
        one.operators() as client,
    ):
        for home in (one, two):
            await home.is_in(Mode.CLUSTERED)
        async with one.member("ada", stay=True), two.member("bob", stay=True):
            await eventually(lambda: knows_others(one))
            ask = Visitor(client).ask
            assert len((await ask("GET", ROOM, 200, room="room")).json()["participants"]) == 2
            await ask("POST", BASE + "/force-open", 200, {"dependency": "redis", "reason": "a test"})
            await one.is_in(Mode.STANDALONE)
            for path in ("/health/ready", "/health/detailed", BASE, "/api/rooms"):
                response = await ask("GET", path, 200)
                for name, told in DOCUMENT["components"]["headers"].items():
                    validator(told["schema"]).validate(response.headers[name])
            await ask("GET", ROOM, 200, room="room")
            await ask("DELETE", ADA, 503, room="room", identity="bob")


async def test_what_is_answered_about_measured_relays_fits_too(house: Open) -> None:
    async with (
        TurnServer() as relay,
        house(stun=(relay.stun_url,), turn=(relay.url(),), turn_secret=(SECRET,), turn_probe_interval=1.0) as home,
        home.http() as client,
    ):
        ask = Visitor(client).ask

        async def is_measured() -> bool:
            checks = (await ask("GET", "/health/detailed", 200)).json()["checks"]["turn:servers"]
            assert {check["url"] for check in checks} == {relay.stun_url, relay.url()}
            return any(check["round_trip"] is not None for check in checks)

        await eventually(is_measured, 20.0, every=0.1)


def knows_others(home: House) -> bool:
    return bool(home.server.conference.cluster.elsewhere("room"))  # type: ignore[arg-type]
