"""People call through nginx and Caddy, set up as the documents say, and through the server's own TLS."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens
from tests.support.call import Person, all_meet, enter, new_room, prepare
from tests.support.certificates import make
from tests.support.chromium import Chromium
from tests.support.reverse_proxy import caddy, nginx
from tests.support.server import RunningServer, running_server

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 4
WAYS = {
    "nginx, as in README.md": ("README.md", "nginx"),
    "Caddy, as in README.md": ("README.md", "caddy"),
    "nginx, as in docs/operations.md": ("docs/operations.md", "nginx"),
    "Caddy, as in docs/operations.md": ("docs/operations.md", "caddy"),
}
OUR_ADDRESS = "127.0.0.1"
SOMEBODY = "127.0.0.2"
SOMEBODY_ELSE = "127.0.0.3"


def documented(document: str, program: str) -> str:
    """The lines for nginx or Caddy in one of our documents."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    found = [
        text for language, text in blocks if (language == "nginx" if program == "nginx" else "reverse_proxy" in text)
    ]
    assert len(found) == 1, f"{document} has {len(found)} blocks for {program}"
    return str(found[0])


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A document and a program, each pair that we tell people about."""
    return WAYS[str(request.param)]


@asynccontextmanager
async def served_behind(
    way: tuple[str, str], folder: Path, **options: object
) -> AsyncIterator[tuple[RunningServer, str]]:
    """A server as the documents start it behind a proxy, and the URL of that proxy."""
    document, program = way
    lines = documented(document, program)
    async with AsyncExitStack() as stack:
        keys = {"AURALINK_KEYS": f"test:{SECRET}"}
        behind = {"host": "127.0.0.1", "trusted_proxies": "127.0.0.1", "shutdown_grace": 1, **options}
        server = await stack.enter_async_context(running_server(environment=keys, **behind))
        proxy = (
            nginx(lines, server.url, folder, make(folder, "proxy"))
            if program == "nginx"
            else caddy(lines, server.url, folder)
        )
        yield server, await stack.enter_async_context(proxy)


def token(room: str, identity: str) -> str:
    """What the backend of such a page would sign."""
    tokens = Tokens([secret_key("test", SECRET.encode())])
    grant = Grant(frozenset(SOURCES))
    return tokens.issue(identity=identity, room=room, wall=time.time(), lifetime=600, grant=grant)


async def call(chromium: Chromium, server: RunningServer, url: str) -> None:
    """Two people open `url`, whose certificate their browser is told to take, meet, and have had no trouble."""
    room = new_room()
    people: list[Person] = []
    for identity in ("ada", "bob"):
        page = await chromium.page(ignore_https_errors=True)
        await prepare(page, url)
        assert await page.evaluate("() => isSecureContext && location.protocol === 'https:'")
        people.append(await enter(page, server, room, identity, token=token(room, identity)))
    await all_meet(people)
    for one in people:
        assert not await one.told("error")
        assert not await one.told("media-state", state="failed")
        assert not [line for line in one.page.console if "Content Security Policy" in line or "WebSocket" in line]


@pytest.mark.browser
async def test_people_meet_through_a_proxy_that_is_set_up_as_documented(
    chromium: Chromium, way: tuple[str, str], tmp_path: Path
) -> None:
    async with served_behind(way, tmp_path) as (server, url):
        await call(chromium, server, url)


@pytest.mark.browser
async def test_people_meet_where_the_server_speaks_tls_itself(chromium: Chromium, tmp_path: Path) -> None:
    pem = make(tmp_path, "own")
    keys = {"AURALINK_KEYS": f"test:{SECRET}"}
    async with running_server(environment=keys, tls_cert=pem.chain, tls_key=pem.key, shutdown_grace=1) as server:
        assert server.url.startswith("https://")
        await call(chromium, server, server.url.rstrip("/"))


async def test_behind_a_proxy_limits_count_peoples_addresses_whatever_they_claim(
    way: tuple[str, str], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        _, url = await stack.enter_async_context(served_behind(way, tmp_path, max_connections_per_address=2))

        async def knocks(source: str, claimed: str) -> ClientConnection:
            return await stack.enter_async_context(from_address(url, source, claimed))

        await knocks(SOMEBODY, "203.0.113.1")
        await knocks(SOMEBODY, "203.0.113.2")
        with pytest.raises(InvalidStatus) as refusal:
            await knocks(SOMEBODY, "203.0.113.3")
        assert refusal.value.response.status_code == 429
        await knocks(SOMEBODY_ELSE, "203.0.113.3")


@asynccontextmanager
async def from_address(url: str, source: str, claimed: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket through the proxy at `url`, from the address `source`, that claims to come from another one."""
    port = urlsplit(url).port
    assert port
    trusting = ssl._create_unverified_context()  # Caddy's authority is one of its own
    plain = socket.create_connection((OUR_ADDRESS, port), timeout=5, source_address=(source, 0))
    plain.setblocking(False)
    async with connect(
        f"wss://localhost:{port}/ws",
        sock=plain,
        ssl=trusting,
        subprotocols=["auralink.v1"],  # type: ignore[list-item]
        additional_headers={"X-Forwarded-For": claimed},
        compression=None,
        proxy=None,
    ) as connected:
        yield connected
