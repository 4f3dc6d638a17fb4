"""What an HTTP client meets at the real server."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from signalling import http, websocket_protocol
from signalling import messages as m
from signalling.keys import secret_key
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually, in_time

from .conftest import Open

KEYS = (secret_key("a", b"a secret that is long enough to be one"),)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of our own instead of web/."""
    for name in ("index.html", "app.js", "style.css", "__init__.py", ".secret.js", "notes.exe", "lib/util.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"/* {name} */")
    monkeypatch.setattr(http, "WEB", tmp_path)
    return tmp_path


async def test_the_page_is_served_with_a_strict_policy(house: Open, web: Path) -> None:
    async with house() as home, home.http() as client:
        page = await client.get("/")
        assert (page.status_code, page.text) == (200, "/* index.html */")
        policy = page.headers["Content-Security-Policy"]
        assert f"connect-src 'self' ws://{home.host} wss://{home.host};" in policy
        for part in ("default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "media-src 'self' blob:"):
            assert part in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "camera=(self)" in page.headers["Permissions-Policy"]
        assert page.headers["Cache-Control"] == "no-cache"
        assert "server" not in page.headers


async def test_a_host_made_to_hurt_does_not_get_into_the_policy(house: Open, web: Path) -> None:
    async with house() as home, home.http() as client:
        page = await client.get("/", headers={"Host": "x; script-src *"})
        assert "*" not in page.headers["Content-Security-Policy"]


async def test_the_policy_lets_a_page_resume_at_the_url_that_welcome_tells(house: Open, web: Path) -> None:
    async with house(advertise_url="wss://node1.example.org:8443/a/ws") as home, home.http() as client:
        policy = (await client.get("/")).headers["Content-Security-Policy"]
        assert f"ws://{home.host} wss://{home.host} wss://node1.example.org:8443;" in policy


@pytest.mark.parametrize(
    ("options", "sockets"),
    [
        ({"advertise_url": "ws://one.example.org/ws"}, "ws://one.example.org ws: wss:"),
        ({"advertise_url": "wss://one.example.org/ws"}, "wss://one.example.org wss:"),
        (
            {"advertise_url": "wss://one.example.org/ws", "instance_origins": ("wss://*.example.org",)},
            "wss://one.example.org wss://*.example.org",
        ),
    ],
)
async def test_where_rooms_are_shared_a_page_may_follow_its_room_to_an_instance_that_is_not_there_yet(
    options: dict[str, Any], sockets: str, shared_house: Open, web: Path
) -> None:
    async with shared_house(redis_url="redis://127.0.0.1:1", **options) as home, home.http() as client:
        policy = (await client.get("/")).headers["Content-Security-Policy"]
        assert f"connect-src 'self' ws://{home.host} wss://{home.host} {sockets};" in policy
    async with shared_house(**options) as home, home.http() as client:  # alone, it has nowhere to go
        policy = (await client.get("/")).headers["Content-Security-Policy"]
        assert "wss:;" not in policy
        assert "*" not in policy


async def test_pages_of_other_instances_may_connect_and_no_others(shared_house: Open) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url, advertise_url="wss://one.example.org/ws") as one,
        shared_house(redis_url=redis.url, advertise_url="wss://two.example.org:8443/ws") as two,
    ):
        for home in (one, two):
            await eventually(lambda home=home: home.sharing.members.nodes)  # type: ignore[misc]
        async with one.member("ada", stay=True, origin="https://two.example.org:8443"):
            pass
        for origin in ("https://two.example.org", "http://two.example.org:8443", "https://three.example.org"):
            with pytest.raises(InvalidStatus) as refused:
                async with one.socket(origin=origin):
                    pass
            assert refused.value.response.status_code == 403


async def test_files_have_the_types_that_browsers_insist_on(house: Open, web: Path) -> None:
    async with house() as home, home.http() as client:
        for path, kind in (
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/lib/util.js", "text/javascript; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/index.html", "text/html; charset=utf-8"),
        ):
            found = await client.get(path)
            assert (found.status_code, found.headers["Content-Type"]) == (200, kind)
            again = await client.get(path, headers={"If-None-Match": found.headers["ETag"]})
            assert again.status_code == 304


async def test_what_is_no_part_of_the_page_is_not_there(house: Open, web: Path) -> None:
    async with house() as home, home.http() as client:
        for path in ("/__init__.py", "/.secret.js", "/notes.exe", "/nothing", "/%2e%2e/app.py", "/lib/"):
            answer = await client.get(path)
            assert (path, answer.status_code, answer.json()["code"]) == (path, 404, "http_404")


async def test_health_schema_and_metrics(house: Open) -> None:
    async with house() as home, home.http() as client, home.member("ada"):
        assert (await client.get("/health/live")).json() == {"status": "ok"}
        assert "ClientMessage" in (await client.get("/api/schema")).json()["$defs"]
        metrics = await client.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        for line in (
            "auralink_rooms 1.0",
            "auralink_participants 1.0",
            "auralink_sockets 1.0",
            'auralink_datagrams_dropped_total{reason="junk"} 1.0',
            'auralink_messages_sent_total{type="welcome"} 1.0',
        ):
            assert line in metrics.text.splitlines()


async def test_metrics_are_clean_to_promtool(house: Open) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is needed: apt-get install prometheus"
    async with house() as home, home.http() as client:
        text = (await client.get("/metrics")).content
    checked = await asyncio.create_subprocess_exec(
        *(promtool, "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await checked.communicate(text)
    assert (checked.returncode, said) == (0, b"")


# ------------------------------------------------------------------------------------------------------- dev tokens


async def ask(home: Any, body: Any = None, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body or {"room": "lab", "name": "Ada"}).encode()
    async with home.http() as client:
        given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return await client.post("/api/dev/token", content=content, headers=given)


async def test_the_page_gets_tokens_in_dev_mode(house: Open) -> None:
    async with house() as home:
        answer = await ask(home, Origin=f"http://{home.host}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        claims = home.server.tokens.verify(answer.json()["token"], time.time())
        assert (claims.room, claims.name, claims.identity) == ("lab", "Ada", answer.json()["identity"])
        assert claims.identity.startswith("guest-")
        chosen = await ask(home, {"room": "lab", "name": "Ada", "identity": "ada"})
        assert chosen.json()["identity"] == "ada"


async def test_on_its_own_machine_whoever_asks_is_a_moderator_or_waits(house: Open) -> None:
    async with house() as home:
        for wish, admin, wait in (({}, False, False), ({"admin": True}, True, False), ({"wait": True}, False, True)):
            answer = await ask(home, {"room": "lab", "name": "Ada", **wish})
            claims = home.server.tokens.verify(answer.json()["token"], time.time())
            assert (claims.grant.admin, claims.wait) == (admin, wait)
        assert (await ask(home, {"room": "lab", "name": "Ada", "admin": "yes"})).status_code == 400


async def test_with_keys_there_are_no_dev_tokens(house: Open, web: Path) -> None:
    async with house(keys=KEYS, host="127.0.0.1") as home:
        assert (await ask(home)).status_code in (404, 405)


async def test_pages_of_others_get_no_dev_tokens(house: Open) -> None:
    async with house() as home:
        for headers, code in (
            ({"Host": f"rebound.example:{home.server.port}"}, "host_refused"),
            ({"Host": "localhost:1"}, "host_refused"),
            ({"Origin": "http://evil.example"}, "origin_refused"),
            ({"Origin": "null"}, "origin_refused"),
        ):
            answer = await ask(home, **headers)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
        # What a form on another page could send without asking first is not taken for JSON.
        assert (await ask(home, Content_Type="text/plain")).status_code == 415


async def test_a_bad_wish_for_a_token_is_refused(house: Open) -> None:
    async with house() as home:
        for body, status, code in (
            (b"{", 400, "invalid_request"),
            (b"[]", 400, "invalid_request"),
            (b'{"room":7,"name":"Ada"}', 400, "invalid_request"),
            (b'{"room":"lab"}', 400, "invalid_request"),
            (b'{"room":"a{b}","name":"Ada"}', 400, "invalid_request"),
            (b'{"room":"lab","name":"\\ud800"}', 400, "invalid_request"),
            (b"[" * 4000, 400, "invalid_request"),
            (b" " * 5000, 413, "body_too_large"),
        ):
            answer = await ask(home, body)
            assert (body, answer.status_code, answer.json()["code"]) == (body, status, code)


# ------------------------------------------------------------------------------------------------ who does not ask


async def test_headers_without_end_are_refused(house: Open) -> None:
    async with house() as home:
        _, writer = await asyncio.open_connection("127.0.0.1", home.server.port)

        async def ask() -> None:
            writer.write(b"GET / HTTP/1.1\r\n")
            for _ in range(5000):
                writer.write(b"x: " + b"y" * 8192 + b"\r\n")
                await writer.drain()

        with pytest.raises(ConnectionError):
            await ask()
        writer.transport.abort()


@pytest.mark.parametrize("headers", [[f"x{number}: y" for number in range(200)], ["x: " + "y" * 10_000]])
async def test_an_upgrade_with_too_many_or_too_long_headers_is_refused(headers: list[str], house: Open) -> None:
    async with house() as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.server.port)
        upgrade = ["GET /ws HTTP/1.1", f"Host: {home.host}", "Connection: Upgrade", "Upgrade: websocket", *headers]
        writer.write("\r\n".join([*upgrade, "", ""]).encode())
        assert b"400" in await in_time(reader.read(), 2)
        writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n\r\n"])
async def test_a_connection_that_asks_for_nothing_is_not_kept(
    said: bytes, house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "HEAD_TIMEOUT", 0.1)
    async with house() as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.server.port)
        writer.write(said)
        await in_time(reader.read(), 2)  # to its end
        writer.close()


async def test_a_page_that_took_its_time_keeps_its_socket(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "HEAD_TIMEOUT", 0.1)
    async with house() as home, home.member("ada") as ada:
        await asyncio.sleep(0.2)
        await ada.say(type="ping")
        await ada.hear(m.Pong)
