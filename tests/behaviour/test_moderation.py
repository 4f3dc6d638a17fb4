"""Moderation in real browsers: a mute is silence, a removal holds, a lock locks, and who waits sees nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.support.call import Person, access_token, all_meet, enter, new_room, person, prepare
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import in_time

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_moderators_mute_is_silence_until_the_owner_ends_it(chromium: Chromium, server: RunningServer) -> None:
    mod, ada = await couple(chromium, server, new_room())

    await moderates(mod, "(room) => room.muteTrack(room.participants[0].trackFrom('microphone').id)")
    assert (await ada.hears("muted-by", within=2))["by"] == "mod"
    await mod.hears("muted", within=2, identity="ada", source="microphone")
    assert await ada.page.evaluate("() => caller.published.get('microphone').muted")
    # Even a page that goes on sending is not heard: the server forwards nothing.
    await ada.page.evaluate("() => (caller.captured.get('microphone').enabled = true)")
    before = await packets(mod)
    assert before > 0
    await asyncio.sleep(1)
    assert await packets(mod) - before < 5

    await ada.unmutes("microphone")
    await mod.is_shown("ada", "microphone", within=3)


async def test_a_permission_that_is_taken_ends_a_camera_and_given_back_it_may_begin_again(
    chromium: Chromium, server: RunningServer
) -> None:
    mod, ada = await couple(chromium, server, new_room())
    await moderates(mod, "(room) => room.setPermissions(room.participants[0].id, { publish: ['microphone'] })")
    assert (await ada.hears("permissions-changed", within=2))["by"] == "mod"
    await mod.hears("track-unpublished", within=2, identity="ada", source="camera")
    await mod.hears("track-unsubscribed", within=2, identity="ada", source="camera")
    await ada.hears("track-unpublished", within=2, identity="ada", source="camera")
    with pytest.raises(Exception, match="not allowed to publish camera"):
        await ada.publishes("camera")
    await mod.is_shown("ada", "microphone")
    await moderates(
        mod, "(room) => room.setPermissions(room.participants[0].id, { publish: ['microphone', 'camera'] })"
    )
    await ada.publishes("camera")
    await all_meet([mod, ada])


async def test_a_removal_holds_against_resume_and_against_the_old_token(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    mod, ada = await couple(chromium, server, room)
    token = await access_token(server, room, "eve")
    async with server.websocket() as socket:
        welcome = await ask(socket, type="join", token=token)
        await mod.hears("participant-joined", identity="eve")
        await asyncio.sleep(1)  # so that the tokens are older than the removal by the second that they tell
        await moderates(mod, "(room) => room.remove(room.participants.find(({ identity }) => identity === 'eve').id)")
        goodbye = await until(socket, "goodbye")
        assert (goodbye["code"], goodbye["resume"]) == ("removed", False)
        await socket.wait_closed()
        assert socket.close_code == 4003
    async with server.websocket() as socket:
        answer = await ask(socket, type="resume", resume_token=welcome["resume_token"])
        assert answer["code"] == "resume_failed"
    async with server.websocket() as socket:
        assert (await ask(socket, type="join", token=token))["code"] == "removed"

    await moderates(mod, "(room) => room.remove(room.participants[0].id, 'Please come back tomorrow.')")
    gone = await ada.hears("disconnected", within=2)
    assert (gone["code"], gone["message"]) == ("removed", "Please come back tomorrow.")
    assert (await mod.hears("participant-left", within=2, identity="ada"))["reason"] == "removed"
    await asyncio.sleep(1)
    assert len(await mod.told("participant-joined", identity="ada")) == 1, "a page that was removed does not come back"


async def test_a_locked_room_refuses_newcomers_until_it_is_unlocked(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    mod, ada = await couple(chromium, server, room)
    await moderates(mod, "(room) => room.lock()")
    await ada.hears("room-updated", within=2)
    page = await chromium.page()
    await prepare(page, server.url)
    with pytest.raises(Exception, match="The room is locked"):
        await enter(page, server, room, "eve")
    await moderates(mod, "(room) => room.unlock()")
    eve = await enter(page, server, room, "eve")
    await eve.sees_and_hears("mod", "ada")


async def test_who_waits_sees_nothing_until_admitted(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    mod = await moderator(chromium, server, room)
    page = await chromium.page()
    await prepare(page, server.url)
    async with asyncio.TaskGroup() as tasks:
        entering = tasks.create_task(enter(page, server, room, "ada", token=await waiting(server, room, "ada")))
        waiter = (await mod.hears("participant-waiting"))["waiter"]
        assert waiter["identity"] == "ada"
        ada = Person(page, "ada")
        await ada.hears("waiting")
        assert await ada.roster() == {}
        assert not entering.done()
        await moderates(mod, f"(room) => room.admit({json.dumps(waiter['id'])})")
    await all_meet([ada, mod])


async def test_who_is_not_let_in_is_told(chromium: Chromium, server: RunningServer) -> None:
    room = new_room()
    mod = await moderator(chromium, server, room)
    async with server.websocket() as socket:
        told = await ask(socket, type="join", token=await waiting(server, room, "eve"))
        await mod.hears("participant-waiting")
        await moderates(mod, f"(room) => room.deny({json.dumps(told['participant'])})")
        assert (await until(socket, "goodbye"))["code"] == "denied"
    await mod.hears("waiting-ended", reason="denied")
    assert await mod.page.evaluate("() => caller.room.waiting.length") == 0


async def test_the_page_has_buttons_for_it_and_tells_others_in_plain_words(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    ada = (await chromium.page(server.url)).playwright
    await ada.get_by_role("textbox", name="Room").fill(room)
    await ada.get_by_label("Your name").fill("Ada")
    await ada.get_by_role("button", name="Join now").click()
    await expect(ada.get_by_role("heading", name=room)).to_be_visible()
    bob = (await chromium.page(f"{server.url}/?room={room}&name=Bob&autojoin=1")).playwright
    await expect(bob.get_by_role("heading", name=room)).to_be_visible()
    await expect(bob.locator("#mic")).to_have_attribute("aria-pressed", "true")

    await ada.locator("#people").click()
    await ada.get_by_label("Moderate Bob").click()
    await ada.get_by_role("button", name="Mute", exact=True).click()
    await expect(bob.locator("#notices")).to_contain_text("Your microphone was muted by Ada.")
    await expect(bob.locator("#mic")).to_have_attribute("aria-pressed", "false")

    await ada.get_by_role("button", name="Waiting room is off").click()
    eve = (await chromium.page(f"{server.url}/?room={room}&name=Eve&autojoin=1")).playwright
    await expect(eve.get_by_role("button", name="Waiting to be let in…")).to_be_visible()
    await ada.get_by_role("button", name="Admit Eve").click()
    await expect(eve.get_by_role("heading", name=room)).to_be_visible()

    await ada.get_by_role("button", name="Lock the room").click()
    late = (await chromium.page(f"{server.url}/?room={room}&name=Late&autojoin=1")).playwright
    await expect(late.get_by_text("The room is locked.")).to_be_visible()

    await bob.locator("#people").click()
    await expect(bob.get_by_label("Moderate Ada")).to_have_count(0)
    await ada.get_by_label("Moderate Bob").click()
    await ada.get_by_role("button", name="Remove", exact=True).click()
    await expect(bob.get_by_role("heading", name="You were removed")).to_be_visible()
    await bob.get_by_role("button", name="Rejoin").click()
    await expect(bob.get_by_text("You were removed from this room")).to_be_visible()


async def test_who_waits_is_shown_what_keeps_them_out_and_no_longer_than_they_wait(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    mod = await moderator(chromium, server, room)
    await moderates(mod, "(room) => room.setWaitingRoom(true)")
    eve = (await chromium.page()).playwright
    sockets: list[WebSocketRoute] = []

    def listen_in(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await eve.route_web_socket("**/ws", listen_in)
    await eve.goto(f"{server.url}/?room={room}&name=Eve&autojoin=1")
    waits = eve.get_by_role("button", name="Waiting to be let in…")
    await expect(waits).to_be_visible()
    notice = {"type": "notice", "code": "turn_unavailable", "level": "warning", "message": "No relay works just now."}
    for _ in range(2):
        sockets[-1].send(json.dumps(notice))
    await expect(eve.get_by_text("No relay works just now.")).to_be_visible()
    await expect(eve.locator(".notice")).to_have_count(1)
    await expect(waits).to_be_disabled()

    await moderates(mod, "(room) => room.admit(room.waiting[0].id)")
    await expect(eve.get_by_role("heading", name=room)).to_be_visible()
    await expect(eve.locator(".notice")).to_have_count(0)

    # Who comes back waits again, and sees it.
    await eve.get_by_role("button", name="Leave the call").click()
    await eve.get_by_role("button", name="Rejoin").click()
    await expect(waits).to_be_disabled()
    await expect(eve.get_by_role("button", name="Rejoin")).to_be_hidden()


async def test_who_has_to_wait_in_the_middle_of_a_call_sees_the_call_and_not_the_lobby(
    chromium: Chromium, server: RunningServer
) -> None:
    room = new_room()
    eve = (await chromium.page()).playwright
    sockets: list[WebSocketRoute] = []

    def come_and_go(socket: WebSocketRoute) -> None:
        """The first connection leads to the server; the next one is told to wait, as after a long interruption."""
        if sockets:
            socket.on_message(lambda text: socket.send(answer(text)))
        else:
            socket.connect_to_server()
        sockets.append(socket)

    def answer(text: str | bytes) -> str:
        request: dict[str, Any] = json.loads(text)
        if request["type"] == "resume":
            return json.dumps({"type": "error", "code": "resume_failed", "message": "Who?", "request": "hello"})
        return json.dumps(
            {"type": "waiting", "participant": "p_1", "room": room, "request": request.get("request", "")}
        )

    await eve.route_web_socket("**/ws", come_and_go)
    await eve.goto(f"{server.url}/?room={room}&name=Eve&autojoin=1")
    await expect(eve.get_by_role("heading", name=room)).to_be_visible()
    await sockets[0].close()
    await expect(eve.get_by_text("a moderator has to let you in again")).to_be_visible()
    await expect(eve.locator("#lobby")).to_be_hidden()
    await expect(eve.locator("#call")).to_be_visible()


async def couple(chromium: Chromium, server: RunningServer, room: str) -> tuple[Person, Person]:
    """A moderator and Ada, who see and hear each other."""
    mod = await moderator(chromium, server, room)
    ada = await person(await chromium.page(), server, room, "ada")
    await all_meet([mod, ada])
    return mod, ada


async def moderator(chromium: Chromium, server: RunningServer, room: str) -> Person:
    """Somebody whose token makes it a moderator."""
    token = await access_token(server, room, "mod", admin=True)
    return await person(await chromium.page(), server, room, "mod", token=token)


async def waiting(server: RunningServer, room: str, identity: str) -> str:
    """A token that waits."""
    return await access_token(server, room, identity, wait=True)


async def moderates(mod: Person, act: str) -> None:
    """Have the moderator's page call a method of its room."""
    await mod.page.evaluate(f"() => ({act})(caller.room)")


async def packets(mod: Person) -> int:
    """How many packets of Ada's microphone have arrived so far."""
    stream = await mod.stream("ada", "microphone")
    return int(stream.report["packetsReceived"]) if stream else 0


async def ask(socket: Any, **message: Any) -> dict[str, Any]:
    """Say something over a bare WebSocket and take the first reply."""
    await socket.send(json.dumps(message))
    answer: dict[str, Any] = json.loads(await in_time(socket.recv(), 5))
    return answer


async def until(socket: Any, kind: str) -> dict[str, Any]:
    """The next message of this kind, whatever comes before."""
    while True:
        message: dict[str, Any] = json.loads(await in_time(socket.recv(), 5))
        if message["type"] == kind:
            return message
