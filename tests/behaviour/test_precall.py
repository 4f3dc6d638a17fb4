"""The pre-call test, in the lobby of a real page: it says in plain words whether a call will work."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect
from playwright.async_api import Page as PlaywrightPage

from tests.support.call import access_token, new_room, person
from tests.support.chromium import Chromium, ChromiumPage
from tests.support.server import RunningServer
from tests.support.udp_proxy import Address, Conditions, udp_proxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

StartServer = Callable[..., Awaitable[RunningServer]]
Visit = Callable[..., Awaitable[PlaywrightPage]]

# A machine whose microphone is open and gives nothing, as one that is muted at the computer.
SILENT_MICROPHONE = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (constraints) => {
  const stream = await open(constraints);
  for (const track of stream.getAudioTracks()) stream.removeTrack(track);
  const [silence] = new AudioContext().createMediaStreamDestination().stream.getAudioTracks();
  if (constraints.audio) stream.addTrack(silence);
  return stream;
};
"""
BLACK_CAMERA = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (constraints) => {
  const stream = await open(constraints);
  for (const track of stream.getVideoTracks()) stream.removeTrack(track);
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const context = canvas.getContext('2d');
  setInterval(() => context.fillRect(0, 0, 320, 180), 50);
  if (constraints.video) stream.addTrack(canvas.captureStream(20).getVideoTracks()[0]);
  return stream;
};
"""


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Chromium) -> AsyncIterator[Visit]:
    """Opens the lobby of a server, with a changed machine if asked for; no page may complain."""
    pages: list[ChromiumPage] = []

    async def open_lobby(server: RunningServer, machine: str = "", **options: Any) -> PlaywrightPage:
        page = await chromium.page(**options)
        pages.append(page)
        if machine:
            await page.playwright.add_init_script(machine)
        await page.goto(f"{server.url}/?room={new_room()}&name=Ada")
        await expect(page.playwright.get_by_role("button", name="Microphone")).to_have_attribute("aria-pressed", "true")
        return page.playwright

    yield open_lobby
    for page in pages:
        assert not [line for line in page.console if line.startswith(("error", "warning"))]


# It measures: when the machine stands still for a moment, the page rightly says that all is not well.
@pytest.mark.alone
async def test_it_is_reached_by_the_keyboard_and_says_that_all_is_well_in_time(
    visit: Visit, server: RunningServer
) -> None:
    lobby = await visit(server)
    await lobby.get_by_role("button", name="Check my connection").focus()
    await lobby.keyboard.press("Enter")
    await says(lobby, "All is well: we can see you and hear you.", within=7)
    await expect(step(lobby, "server")).to_contain_text("The server answers.")
    await expect(step(lobby, "pings")).to_contain_text("there and back")
    await expect(step(lobby, "udp")).to_contain_text("Sound and picture get through.")
    await expect(step(lobby, "tcp")).to_contain_text("Sound and picture get through.")
    await expect(step(lobby, "relay")).to_contain_text("No relay is offered just now.")
    await expect(step(lobby, "quality")).to_contain_text(re.compile(r"Good: \d+ ms there and back, nothing lost\."))
    await expect(step(lobby, "camera")).to_contain_text("We can see you, 1280 × 720.")
    # Neither by colour alone nor by an icon alone: each result has a word, too.
    assert await lobby.locator("#check-steps svg[aria-label=Good]").count() == 7
    await lobby.keyboard.press("Escape")
    await expect(lobby.get_by_role("button", name="Check my connection")).to_be_focused()
    await lobby.get_by_role("button", name="Join now").click()
    await expect(lobby.get_by_role("button", name="Leave the call")).to_be_visible()


async def test_where_udp_and_the_relay_are_blocked_it_says_that_media_cannot_get_through(
    visit: Visit, other_server: StartServer
) -> None:
    async with udp_proxy(("127.0.0.1", 9), Conditions(loss=1.0)) as wall:
        relay = f"turn:127.0.0.1:{wall.address[1]}?transport=udp"
        # Without a look of its own: the server would soon know, and not name it.
        server = await other_server(
            media_ip=announced(wall.address), turn=relay, turn_secret="a secret", turn_probe_interval=0
        )
        lobby = await visit(server, viewport={"width": 320, "height": 640})
        await lobby.get_by_role("button", name="Check my connection").click()
        await says(lobby, "Sound and picture cannot get through. A firewall may block it", within=9)
        await expect(step(lobby, "server")).to_contain_text("The server answers.")
        await expect(step(lobby, "udp")).to_contain_text(f"UDP to 127.0.0.1, port {wall.address[1]}")
        await expect(step(lobby, "udp").get_by_role("img", name="Problem")).to_be_visible()
        await expect(step(lobby, "relay")).to_contain_text("The relay does not answer")
        await expect(step(lobby, "quality")).to_contain_text("Not measured")
        assert wall.lost > 0
        assert await lobby.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        assert await lobby.evaluate("() => document.getElementById('check').scrollWidth <= window.innerWidth")


async def test_packets_that_are_lost_are_told(chromium: Chromium, other_server: StartServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with udp_proxy(("127.0.0.1", port), Conditions(loss=0.25), seed=3) as bad_way:
        server = await other_server(media_port=port, media_ip=announced(bad_way.address))
        report = await checked(chromium, server)
        by_name = {step["name"]: step for step in report["steps"]}
        assert by_name["udp"]["result"] == "good"
        assert by_name["quality"]["result"] == "warning"
        assert re.search(r"(Fair|Weak): .*% lost on the way", by_name["quality"]["text"]), by_name["quality"]


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (SILENT_MICROPHONE, "We can see you, but your microphone is silent. Is it muted at the computer"),
        (BLACK_CAMERA, "We can hear you, but your picture is black. Is the lens covered?"),
    ],
)
async def test_a_device_that_gives_nothing_is_told_in_plain_words(
    visit: Visit, server: RunningServer, machine: str, words: str
) -> None:
    lobby = await visit(server, machine)
    await lobby.get_by_role("button", name="Check my connection").click()
    await says(lobby, words, within=9)


async def test_nobody_in_the_room_hears_of_a_test_with_their_own_token(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    bob = await person(await chromium.page(), server, room, "bob")
    await bob.forgets()
    report = await checked(chromium, server, token=await access_token(server, room, "bob"))
    results = {step["name"]: step["result"] for step in report["steps"]}
    assert (results["server"], results["udp"]) == ("good", "good"), report
    assert "Your camera is off. Your microphone is off." in report["text"]
    assert await bob.roster() == {}
    assert await bob.told("participant-joined") == []
    assert await bob.told("disconnected") == []


async def test_a_token_that_opens_nothing_and_a_server_that_is_away_are_told_apart(
    chromium: Chromium, server: RunningServer
) -> None:
    refused = await checked(chromium, server, token="nonsense")
    assert refused["steps"][0]["result"] == "bad"
    assert "token" in refused["text"]
    away = await checked(chromium, server, token="any", url="ws://127.0.0.1:9/ws")
    assert away["text"].startswith("The server cannot be reached.")


async def checked(chromium: Chromium, server: RunningServer, token: str = "", **options: Any) -> dict[str, Any]:
    """Run the test as an application would, without devices."""
    page = await chromium.page()
    await page.goto(f"{server.url}/auralink.js")
    given = {"token": token or await access_token(server, new_room(), "ada"), **options}
    script = "async (options) => (await import('/auralink.js')).checkConnection(options)"
    return dict(await page.evaluate(script, given))


def announced(address: Address) -> str:
    """The option by which the server names another address than its own."""
    host, port = address
    return f"127.0.0.1={host}:{port}"


def step(page: PlaywrightPage, name: str) -> Locator:
    """One line of the results."""
    return page.locator(f"#check-steps [data-step={name}]")


async def says(page: PlaywrightPage, words: str, within: float) -> None:
    """The summary begins with these words after `within` seconds at most."""
    await expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(words, timeout=within * 1000)
