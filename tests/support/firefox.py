"""Real Firefox pages with a fake camera and microphone, driven by a small WebDriver BiDi client.

Firefox ESR speaks WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) by itself over a WebSocket; nothing else is
needed between the test and the browser.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .browser import MEASURE
from .network import Network
from .waiting import eventually

EXECUTABLE = "/usr/bin/firefox-esr"
STARTS_WITHIN = 30.0
ANSWERS_WITHIN = 30.0
PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Addresses as they are: there is nobody to resolve .local names in a namespace.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Nothing that speaks to the world, and no first-run pages.
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#unused",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class BidiError(Exception):
    """Firefox refused a command, or a script in the page threw."""


class Bidi:
    """One BiDi session: commands go out with an id, their results and events come in."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.console: dict[str, list[str]] = {}  # browsing context -> lines

    async def __aenter__(self) -> Self:
        # Not a TaskGroup, which would wrap every failed assertion of a test into a group.
        self._listener = asyncio.get_running_loop().create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.cancel()
        await asyncio.wait([self._listener])

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run one command and return its result. Raises BidiError or TimeoutError."""
        number = next(self._ids)
        result = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
            async with asyncio.timeout(ANSWERS_WITHIN):
                return await result
        finally:
            del self._waiting[number]

    async def _listen(self) -> None:
        """Hand results and events to those who wait for them, until the connection ends."""
        try:
            async for text in self._socket:
                self._handle(json.loads(text))
        except ConnectionClosed:
            pass  # a killed browser says no goodbye
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(BidiError("Firefox is gone"))

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "event":
            if message["method"] == "log.entryAdded":
                entry = message["params"]
                self.console.setdefault(entry["source"].get("context", ""), []).append(
                    f"{entry['level']}: {entry['text']}"
                )
            return
        waiting = self._waiting.get(message.get("id") or 0)
        if waiting is None or waiting.done():
            return
        if message["type"] == "success":
            waiting.set_result(message["result"])
        else:
            waiting.set_exception(BidiError(f"{message['error']}: {message['message']}"))


class FirefoxPage:
    """A page in a user context of its own, as a person with a fresh profile would have it."""

    def __init__(self, bidi: Bidi, context: str) -> None:
        self._bidi = bidi
        self._context = context

    @property
    def console(self) -> Sequence[str]:
        return self._bidi.console.get(self._context, [])

    async def goto(self, url: str) -> None:
        await self._bidi.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        # Values travel as JSON text, so that they look the same as in every other browser.
        declaration = f"async (text) => JSON.stringify(await ({script})(JSON.parse(text)) ?? null)"
        answer = await self._bidi.command(
            "script.callFunction",
            functionDeclaration=declaration,
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
            userActivation=True,
            target={"context": self._context},
        )
        if answer["type"] != "success":
            raise BidiError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def close(self) -> None:
        await self._bidi.command("browsingContext.close", context=self._context)


class Firefox:
    """One browser process; `page` gives isolated pages."""

    def __init__(self, bidi: Bidi, process: asyncio.subprocess.Process) -> None:
        self.bidi = bidi
        self.process = process

    async def page(self, url: str | None = None) -> FirefoxPage:
        """A new page in a new user context, at `url` if given."""
        profile = await self.bidi.command("browser.createUserContext")
        created = await self.bidi.command(
            "browsingContext.create", type="tab", userContext=profile["userContext"], background=False
        )
        page = FirefoxPage(self.bidi, created["context"])
        if url:
            await page.goto(url)
        return page


@asynccontextmanager
async def running_firefox(network: Network, **preferences: bool | int | str) -> AsyncIterator[Firefox]:
    """Firefox in `network` with a fresh profile, ended by its process group when the block ends.

    Firefox checks no loopback address, so `network` should come from `private_network`.
    """
    with TemporaryDirectory(prefix="auralink-firefox-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        profile = home / "profile"
        profile.mkdir()
        values = PREFERENCES | preferences
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in values.items())
        )
        log_file = home / "log"
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *network.command(EXECUTABLE, "--headless", "--no-remote", "--remote-debugging-port=0"),
                *("--profile", str(profile)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"HOME": folder, "PATH": os.environ["PATH"], "MOZ_CRASHREPORTER_DISABLE": "1"},
                start_new_session=True,
            )
        try:
            url = await eventually(lambda: _bidi_address(process, log_file), STARTS_WITHIN)
            host, _, port = url.removeprefix("ws://").rpartition(":")
            connected = await network.connect(host, int(port))
            connected.setblocking(False)
            async with (
                connect(f"{url}/session", sock=connected, max_size=None, compression=None, proxy=None) as socket,
                Bidi(socket) as bidi,
            ):
                await bidi.command("session.new", capabilities={})
                await bidi.command("session.subscribe", events=["log.entryAdded"])
                await bidi.command("script.addPreloadScript", functionDeclaration=f"() => {{ {MEASURE} }}")
                yield Firefox(bidi, process)
        finally:
            _kill_group(process.pid)
            await process.wait()
            await eventually(lambda: not _kill_group(process.pid))


def _bidi_address(process: asyncio.subprocess.Process, log_file: Path) -> str | None:
    log = log_file.read_text(errors="replace")
    assert process.returncode is None, f"Firefox did not start:\n{log}"
    found = re.search(r"WebDriver BiDi listening on (ws://\S+)", log)
    return found[1] if found else None


def _kill_group(leader: int) -> bool:
    """Kill whatever lives in the process group; True if something did."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
