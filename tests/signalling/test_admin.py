"""What the admin API does to rooms and people, and whom it lets do that."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from signalling import messages as m
from signalling.admin_tokens import AdminTokens
from signalling.keys import secret_key
from signalling.option_values import Bind
from tests.support.waiting import eventually

from .conftest import House, Open

KEYS = (secret_key("a", b"a secret that is long enough to be one"),)
ADMIN_KEYS = (secret_key("op", b"another secret that is long enough to be one"),)
ROOM = "/api/rooms/room"
ADA = ROOM + "/participants/ada"
OPEN = {"locked": False, "waiting_room": False, "metadata": {}}


def bearer(name: str = "") -> dict[str, str]:
    token = AdminTokens(ADMIN_KEYS).issue(wall=time.time(), lifetime=60, name=name)
    return {"Authorization": f"Bearer {token}"}


async def ask(home: House, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    async with home.http() as client:
        return await client.request(method, path, json=body, headers=headers)


async def test_rooms_are_listed_a_page_at_a_time(house: Open) -> None:
    async with house() as home, home.member("ada"), home.socket() as other:
        await other.say(type="join", token=home.token("bob", room="another"))
        await other.hear(m.Welcome)
        found = (await ask(home, "GET", "/api/rooms")).json()
        quiet = {"participants": 1, "elsewhere": 0, "tracks": 0, "waiting": 0} | OPEN
        assert found == {"rooms": [{"name": name} | quiet for name in ("another", "room")], "next": None}
        page = (await ask(home, "GET", "/api/rooms?limit=1")).json()
        assert ([room["name"] for room in page["rooms"]], page["next"]) == (["another"], "another")
        page = (await ask(home, "GET", "/api/rooms?limit=1&after=another")).json()
        assert ([room["name"] for room in page["rooms"]], page["next"]) == (["room"], None)


async def test_a_room_is_told_with_everybody_in_it(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        found = (await ask(home, "GET", ROOM)).json()
        (member,) = found.pop("participants")
        assert found == {"name": "room", "waiting": [], "banned": []} | OPEN
        assert (member["presence"], member["node"]) == ("here", "here")
        assert (member["id"], member["identity"], member["connected"]) == (ada.welcome.participant, "ada", True)
        assert member["permissions"]["chat"]
        assert (await ask(home, "GET", "/api/rooms/empty")).json()["code"] == "unknown_room"


async def test_names_may_hold_whatever_a_token_may_name(house: Open) -> None:
    name = "a/b?c#d e%2Fü"
    async with house() as home, home.socket() as caller:
        await caller.say(type="join", token=home.token(name, room=name))
        await caller.hear(m.Welcome)
        path = "/api/rooms/" + quote(name, safe="")
        found = await ask(home, "GET", path)
        assert found.json()["participants"][0]["identity"] == name
        assert (await ask(home, "DELETE", f"{path}/participants/{quote(name, safe='')}")).status_code == 204
        assert (await caller.hear(m.Goodbye)).code == "removed"


async def test_somebody_is_removed_and_told_why(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob") as bob:
        await ada.hear(m.ParticipantJoined)
        gone = await ask(home, "DELETE", ADA + "?reason=Please%20calm%20down.")
        assert (gone.status_code, gone.content) == (204, b"")
        goodbye = await ada.hear(m.Goodbye)
        assert (goodbye.code, goodbye.message, goodbye.resume) == ("removed", "Please calm down.", False)
        assert (await bob.hear(m.ParticipantLeft)).reason == "removed"
        assert (await ask(home, "DELETE", ADA)).json()["code"] == "unknown_participant"


async def test_a_ban_holds_until_it_is_taken_back(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob"):
        await ada.hear(m.ParticipantJoined)
        assert (await ask(home, "DELETE", ADA + "?ban=1")).status_code == 204
        assert (await ada.hear(m.Goodbye)).code == "banned"
        assert (await ask(home, "GET", ROOM)).json()["banned"] == ["ada"]
        async with home.socket() as again:
            await again.say(type="join", token=home.token("ada"))
            assert (await again.hear(m.Error)).code == "banned"
        assert (await ask(home, "DELETE", ROOM + "/bans/ada")).status_code == 204
        assert (await ask(home, "DELETE", ROOM + "/bans/ada")).json()["code"] == "not_banned"
        async with home.member("ada"):
            pass


async def test_permissions_change_during_the_call(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        wish = {"publish": ["microphone"], "chat": False}
        assert (await ask(home, "POST", ADA + "/permissions", wish)).status_code == 204
        changed = await ada.hear(m.PermissionsChanged)
        assert (changed.permissions.publish, changed.permissions.chat, changed.by) == (["microphone"], False, "admin")
        assert changed.permissions.subscribe
        assert (await ask(home, "POST", ADA + "/permissions", {"publish": False})).status_code == 204
        assert (await ada.hear(m.PermissionsChanged)).permissions.publish == []


async def test_tracks_are_muted(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        await ada.say(type="offer", sdp="offer", tracks=[{"mid": "0", "source": "microphone"}])
        track = (await ada.hear(m.SdpAnswer)).tracks[0].track
        assert (await ask(home, "POST", ADA + "/mute", {"track": "t_none"})).json()["code"] == "unknown_track"
        assert (await ask(home, "POST", ADA + "/mute", {"track": track})).status_code == 204
        await eventually(lambda: home.server.conference.rooms.track_in("room", track).muted)  # type: ignore[arg-type,union-attr]
        assert (await ask(home, "POST", ADA + "/mute")).status_code == 204


async def test_a_room_is_locked_and_unlocked(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        assert (await ask(home, "POST", ROOM + "/lock")).status_code == 204
        assert (await ada.hear(m.RoomUpdated)).locked
        async with home.socket() as late:
            await late.say(type="join", token=home.token("bob"))
            assert (await late.hear(m.Error)).code == "room_locked"
        assert (await ask(home, "POST", ROOM + "/unlock")).status_code == 204
        async with home.member("bob"):
            pass
        assert (await ask(home, "POST", "/api/rooms/empty/lock")).json()["code"] == "unknown_room"


async def test_what_is_written_at_a_room_is_changed_field_by_field_or_as_a_whole(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        where = ROOM + "/metadata"
        for method, wish, after in (
            ("POST", {"title": "Monday", "agenda": "all"}, {"title": "Monday", "agenda": "all"}),
            ("POST", {"agenda": None, "x": "y"}, {"title": "Monday", "x": "y"}),
            ("PUT", {"title": "Tuesday"}, {"title": "Tuesday"}),
            ("PUT", {}, {}),
            ("PUT", {str(n): "x" * 1000 for n in range(32)}, {str(n): "x" * 1000 for n in range(32)}),
        ):
            assert (await ask(home, method, where, wish)).status_code == 204
            assert (await ada.hear(m.RoomUpdated)).metadata == after
            assert (await ask(home, "GET", ROOM)).json()["metadata"] == after
        assert (await ask(home, "POST", where, {"one": "more"})).json()["code"] == "too_much_metadata"
        assert (await ask(home, "POST", where, {})).status_code == 204


async def test_who_waits_is_admitted_or_denied(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.socket() as bob, home.socket() as eve:
        assert (await ask(home, "POST", ROOM + "/waiting-room", {"on": True})).status_code == 204
        assert (await ada.hear(m.RoomUpdated)).waiting_room
        for caller, identity in ((bob, "bob"), (eve, "eve")):
            await caller.say(type="join", token=home.token(identity))
            await caller.hear(m.Waiting)
        waiting = (await ask(home, "GET", ROOM)).json()["waiting"]
        assert [one["identity"] for one in waiting] == ["bob", "eve"]
        assert waiting[0]["until"] > time.time()
        assert (await ask(home, "POST", ROOM + "/waiting/bob/admit")).status_code == 204
        await bob.hear(m.Welcome)
        assert (await ask(home, "POST", ROOM + "/waiting/eve/deny")).status_code == 204
        assert (await eve.hear(m.Goodbye)).code == "denied"
        assert (await ask(home, "POST", ROOM + "/waiting/eve/admit")).json()["code"] == "unknown_participant"


async def test_a_room_ends_for_everybody_and_may_begin_again(house: Open) -> None:
    async with house() as home:
        async with home.member("ada") as ada, home.socket() as bob:
            await ask(home, "POST", ROOM + "/waiting-room", {"on": True})
            await ada.hear(m.RoomUpdated)
            await bob.say(type="join", token=home.token("bob"))
            await bob.hear(m.Waiting)
            assert (await ask(home, "DELETE", ROOM)).status_code == 204
            assert (await bob.hear(m.Goodbye)).code == "room_ended"
            assert not (await ada.hear(m.Goodbye)).resume
            await ada.is_closed(4003)
        assert (await ask(home, "DELETE", ROOM)).json()["code"] == "unknown_room"
        async with home.member("ada"):
            pass


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", ROOM + "/nothing", None, 404, "no_such_endpoint"),
        ("POST", "/api/rooms", None, 404, "no_such_endpoint"),
        ("POST", ADA + "/mute/more", None, 404, "no_such_endpoint"),
        ("PUT", ROOM, None, 404, "no_such_endpoint"),
        ("PATCH", ROOM, None, 405, "http_405"),
        ("GET", "/api/rooms?limit=0", None, 400, "invalid_request"),
        ("GET", "/api/rooms?limit=1001", None, 400, "invalid_request"),
        ("GET", "/api/rooms?limit=x", None, 400, "invalid_request"),
        ("GET", "/api/rooms/%ff", None, 400, "invalid_request"),
        ("GET", "/api/rooms/a%09b", None, 400, "invalid_request"),
        ("GET", "/api/rooms/" + "x" * 129, None, 400, "invalid_request"),
        ("DELETE", ADA + "?ban=yes", None, 400, "invalid_request"),
        ("POST", ADA + "/mute", {"track": 7}, 400, "invalid_request"),
        ("POST", ADA + "/mute", [], 400, "invalid_request"),
        ("POST", ADA + "/permissions", {}, 400, "invalid_request"),
        ("POST", ADA + "/permissions", {"chat": "no"}, 400, "invalid_request"),
        ("POST", ADA + "/permissions", {"publish": ["eyes"]}, 400, "invalid_request"),
        ("POST", ADA + "/permissions", {"publish": [[]]}, 400, "invalid_request"),
        ("POST", ADA + "/permissions", {"root": True}, 400, "invalid_request"),
        ("POST", ROOM + "/waiting-room", {}, 400, "invalid_request"),
        ("POST", ROOM + "/metadata", {"title": 7}, 400, "invalid_request"),
        ("PUT", ROOM + "/metadata", {"title": "x" * 1025}, 400, "invalid_request"),
        ("POST", ROOM + "/metadata", {"x": "y" * 70_000}, 413, "body_too_large"),
        ("POST", ROOM + "/metadata", {"title": "x"}, 404, "unknown_room"),
        ("POST", ADA + "/mute", {"track": "x" * 5000}, 413, "body_too_large"),
        ("POST", ADA + "/mute", {}, 404, "unknown_participant"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    method: str, path: str, body: Any, status: int, code: str, house: Open
) -> None:
    async with house() as home:
        refused = await ask(home, method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert refused.json()["message"]


# ------------------------------------------------------------------------------------------------------- who may


async def test_pages_of_others_change_nothing_in_dev_mode(house: Open) -> None:
    async with house() as home, home.member("ada"):
        for headers, code in (
            ({"Host": f"rebound.example:{home.server.port}"}, "host_refused"),
            ({"Origin": "http://evil.example"}, "origin_refused"),
            ({"Origin": "null"}, "origin_refused"),
        ):
            refused = await ask(home, "DELETE", ADA, **headers)
            assert (refused.status_code, refused.json()["code"]) == (403, code)
        assert (await ask(home, "GET", ROOM, Origin=f"http://{home.host}")).status_code == 200


async def test_with_keys_the_main_port_has_no_admin_api_but_for_who_shows_a_token(house: Open) -> None:
    async with house(keys=KEYS, host="127.0.0.1") as home:
        assert (await ask(home, "GET", "/api/rooms", **bearer())).status_code == 404
        assert (await ask(home, "DELETE", ROOM, **bearer())).status_code in (404, 405)
    async with house(keys=KEYS, admin_keys=ADMIN_KEYS, host="127.0.0.1") as home, home.member("ada"):
        assert (await ask(home, "DELETE", ADA)).status_code == 401
        assert (await ask(home, "DELETE", ADA, Authorization=f"Bearer {home.token('ada')}")).status_code == 401
        assert (await ask(home, "DELETE", ADA, **bearer())).status_code == 204


async def test_on_loopback_operators_need_no_token_and_beyond_they_do(house: Open) -> None:
    for host, admin_keys, status in (("127.0.0.1", (), 200), ("0.0.0.0", (), 403), ("0.0.0.0", ADMIN_KEYS, 401)):
        options = {"keys": KEYS, "host": "127.0.0.1", "admin_bind": Bind(host, 0), "admin_keys": admin_keys}
        async with (
            house(**options) as home,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{home.server.admin_port}") as client,
        ):
            assert (await client.get("/api/rooms")).status_code == status
            if admin_keys:
                assert (await client.get("/api/rooms", headers=bearer())).status_code == 200


async def test_every_request_is_logged_with_the_key_that_asked_and_without_the_token(
    house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with house(keys=KEYS, admin_keys=ADMIN_KEYS, host="127.0.0.1") as home, home.member("ada"):
        headers = bearer("maria")
        assert (await ask(home, "DELETE", ADA, **headers)).status_code == 204
        member = home.token("ada")
        assert (await ask(home, "GET", f"/api/rooms/{member}", **headers)).status_code in (400, 404)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("signalling")]
    assert "Admin API: DELETE '/api/rooms/room/participants/ada' by 'op/maria' from 127.0.0.1: 204" in said
    for token in (headers["Authorization"].split()[1], member):
        assert not [line for line in said if token in line or token.split(".")[2] in line]
