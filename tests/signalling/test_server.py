"""What a WebSocket client meets at the real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from sfu.media_plane import PeerId, PeerStateChanged, SlotsChanged, TrackId
from signalling import messages as m
from signalling import moderation
from signalling.conference import Refused
from state.model import Identity, RoomName
from tests.support.waiting import eventually, in_time

from .conftest import Open


async def test_two_clients_meet_publish_and_chat(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob") as bob:
        assert ada.socket.subprotocol == "auralink.v1"
        assert "Sec-WebSocket-Extensions" not in ada.socket.response.headers
        assert (await ada.hear(m.ParticipantJoined)).participant.identity == "bob"
        await ada.say(type="offer", sdp="v=0", tracks=[{"mid": "v1", "source": "camera"}], request="1")
        answer = await ada.hear(m.SdpAnswer)
        assert (await bob.hear(m.TrackPublished)).track.id == answer.tracks[0].track
        home.media.emit(
            SlotsChanged(PeerId(f"{bob.welcome.participant}.1"), {"3": TrackId(answer.tracks[0].track), "4": None})
        )
        assert (await bob.hear(m.Slots)).slots == [
            m.Slot(mid="3", track=answer.tracks[0].track),
            m.Slot(mid="4", track=None),
        ]
        await bob.say(type="chat", text="hello")
        assert (await ada.hear(m.ChatMessage)).text == "hello"


async def test_dev_mode_answers_on_both_loopback_addresses_and_nowhere_else(house: Open) -> None:
    async with house() as home:
        for host in ("127.0.0.1", "::1"):
            with sockets.create_connection((host, home.server.port), 2):
                pass
        with pytest.raises(OSError, match=r"refused|timed out"):
            sockets.create_connection(("127.0.0.2", home.server.port), 2)


BAD_MESSAGES: list[tuple[str | bytes, str, Any]] = [
    ("{", "invalid_json", m.UNSET),
    ('{"type":"dance"}', "unknown_type", "type"),
    ('{"type":"chat","text":[]}', "invalid_message", "text"),
    (b'{"type":"ping"}', "invalid_json", m.UNSET),
    ('{"type":"mute","track":"t_0"}', "unknown_track", "track"),
]


async def test_a_bad_message_gets_an_error_and_the_session_goes_on(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        for data, code, field in BAD_MESSAGES:
            await ada.socket.send(data)
            error = await ada.hear(m.Error)
            assert (error.code, error.field) == (code, field)
        await ada.say(type="ping", request="1")
        assert (await ada.hear(m.Pong)).request == "1"


async def test_an_oversized_message_closes_the_socket_and_the_session_can_be_resumed(house: Open) -> None:
    async with house(max_message_bytes=20_000) as home:
        async with home.member("ada") as ada:
            await ada.say(type="chat", text="x" * 20_000)
            await ada.is_closed(1009)
        async with home.socket() as back:
            await back.say(type="resume", resume_token=ada.welcome.resume_token)
            assert (await back.hear(m.Welcome)).resumed


async def test_a_stranger_may_not_say_much(house: Open) -> None:
    async with house() as home, home.socket() as stranger:
        await stranger.say(type="join", token="x" * 20_000)
        assert (await stranger.hear(m.Error)).code == "message_too_large"
        await stranger.is_closed(1008)


async def test_a_token_that_is_not_ours_opens_nothing(house: Open) -> None:
    async with house() as home:
        good = home.token("ada")
        claims = jwt.decode(good, options={"verify_signature": False})
        for bad, code in (
            (jwt.encode(claims, "another secret of a decent length", headers={"kid": "dev"}), "token_invalid"),
            (jwt.encode(claims, None, algorithm="none", headers={"kid": "dev"}), "token_invalid"),
            (good.rpartition(".")[0] + ".AAAA", "token_invalid"),
            (home.token("ada", wall=1_000_000.0), "token_expired"),
        ):
            async with home.socket() as stranger:
                await stranger.say(type="join", token=bad)
                assert (await stranger.hear(m.Error)).code == code
                assert (await stranger.hear(m.Goodbye)).code == code
                await stranger.is_closed(1008)


async def test_a_token_opens_its_own_room_only(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.socket() as other:
        await other.say(type="join", token=home.token("bob", room="another"), room="room")
        welcome = await other.hear(m.Welcome)
        assert (welcome.room.name, len(welcome.room.participants)) == ("another", 1)
        await ada.say(type="ping")
        await ada.hear(m.Pong)


# ----------------------------------------------------------------------------------------------- before the upgrade


async def refusal(home: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with home.socket(**options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"")["code"]


async def test_a_page_of_another_origin_is_refused_before_the_upgrade(house: Open) -> None:
    async with house(allowed_origins=("https://app.example",)) as home:
        assert await refusal(home, origin=Origin("https://evil.example")) == (403, "origin_refused")
        assert await refusal(home, origin=Origin("null")) == (403, "origin_refused")
        for origin in (f"http://127.0.0.1:{home.server.port}", "https://app.example"):
            async with home.socket(origin=Origin(origin)):
                pass


async def test_a_client_of_another_protocol_is_refused(house: Open) -> None:
    async with house() as home:
        assert await refusal(home, subprotocols=["auralink.v2"]) == (400, "subprotocol_required")
        assert await refusal(home, subprotocols=None) == (400, "subprotocol_required")


async def test_connections_of_one_address_that_have_not_joined_are_limited(house: Open) -> None:
    async with house(max_connections_per_address=1) as home:
        async with home.socket():
            assert await refusal(home) == (429, "too_many_connections")
        await eventually(lambda: not home.server.conference.sockets)
        async with home.member("ada"), home.member("bob"), home.socket():
            pass
        async with home.http() as client:
            assert 'auralink_limited_total{limit="connections_per_address"} 1.0' in (await client.get("/metrics")).text


async def test_an_address_from_which_too_much_fails_is_refused_before_the_upgrade(house: Open) -> None:
    async with house(failures_per_second=0.1) as home:
        async with home.socket() as stranger:
            await stranger.say(type="join", token="nonsense")
            assert (await stranger.hear(m.Error)).code == "token_invalid"
        assert await refusal(home) == (429, "rate_limited")
        async with home.http() as client:
            assert 'auralink_limited_total{limit="failures_per_address"} 1.0' in (await client.get("/metrics")).text


async def test_a_url_with_a_token_in_it_is_refused(house: Open) -> None:
    async with house() as home:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(
                f"ws://127.0.0.1:{home.server.port}/ws?token={home.token('ada')}",
                subprotocols=["auralink.v1"],  # type: ignore[list-item]
                proxy=None,
            ):
                pass
        assert caught.value.response.status_code == 400
        answer = json.loads(caught.value.response.body or b"")
        assert answer["code"] == "query_refused"
        assert "first message" in answer["message"]


async def test_a_client_that_says_nothing_is_closed(house: Open) -> None:
    async with house(join_timeout=0.1) as home, home.socket() as silent:
        assert (await silent.hear(m.Error)).code == "join_timeout"
        await silent.is_closed(1008)


# ----------------------------------------------------------------------------------------------------- lost sockets


async def test_a_cut_socket_is_resumed_and_nobody_notices(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        async with home.member("bob") as bob:
            await ada.hear(m.ParticipantJoined)
            bob.socket.transport.abort()
            await eventually(lambda: home.server.conference.detached)
            await ada.say(type="chat", text="are you there?")
            await ada.hear(m.ChatMessage)
        async with home.socket() as back:
            await back.say(type="resume", resume_token=bob.welcome.resume_token)
            welcome = await back.hear(m.Welcome)
            assert (welcome.participant, welcome.resumed) == (bob.welcome.participant, True)
            assert [said.text for said in welcome.chat] == ["are you there?"]
            await back.say(type="chat", text="I am")
            assert (await ada.hear(m.ChatMessage)).text == "I am"


async def test_a_session_nobody_resumes_leaves(house: Open) -> None:
    async with house(resume_window=0.1) as home, home.member("ada") as ada:
        async with home.member("bob") as bob:
            await ada.hear(m.ParticipantJoined)
            bob.socket.transport.abort()
        assert (await ada.hear(m.ParticipantLeft)).reason == "timeout"
        await eventually(lambda: ("close_peer", f"{bob.welcome.participant}.1") in home.media.verbs)


async def test_a_takeover_closes_the_old_socket_whose_late_words_do_nothing(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob") as old, home.socket() as new:
        await ada.hear(m.ParticipantJoined)
        await new.say(type="resume", resume_token=old.welcome.resume_token)
        await new.hear(m.Welcome)
        with contextlib.suppress(ConnectionClosed):
            await old.say(type="leave")
        assert (await old.hear(m.Goodbye)).code == "taken_over"
        await old.is_closed(4002)
        await new.say(type="ping")
        await new.hear(m.Pong)
        await ada.say(type="ping")
        await ada.hear(m.Pong)


async def test_a_client_that_does_not_read_is_cut_off_and_may_resume(house: Open) -> None:
    async with house(
        outbox_messages=50, outbox_bytes=100_000, chats_per_second=100_000.0, messages_per_second=100_000.0
    ) as home:
        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", home.server.port))
        raw.setblocking(False)
        async with home.member("slow", sock=raw, max_queue=1) as slow, home.member("ada") as ada:

            async def chatter() -> None:
                while home.server.conference.sessions[slow.welcome.participant].socket is not None:  # type: ignore[index]
                    await ada.say(type="chat", text="x" * 4000)
                    await ada.hear(m.ChatMessage)

            await in_time(chatter(), 20)
            with contextlib.suppress(ConnectionClosed):
                while True:  # what the network had taken already still arrives, and then the reason
                    await in_time(slow.socket.recv(), 5)
            assert (slow.socket.close_code, slow.socket.close_reason) == (1013, "slow_consumer")
            async with home.socket() as back:
                await back.say(type="resume", resume_token=slow.welcome.resume_token)
                assert (await back.hear(m.Welcome)).resumed


async def test_a_client_that_does_not_answer_pings_is_cut_off(house: Open) -> None:
    async with house(ping_interval=0.1) as home, home.member("ada") as ada:
        ada.socket.transport.pause_reading()  # type: ignore[attr-defined]
        await eventually(lambda: home.server.conference.detached)
        ada.socket.transport.abort()


# --------------------------------------------------------------------------------------------------------- the end


async def test_the_end_is_announced_and_comes_within_the_grace(house: Open) -> None:
    async with house() as home, home.member("ada") as ada, home.socket() as stranger:
        await home.server.stop()
        goodbye = await ada.hear(m.Goodbye)
        assert (goodbye.code, goodbye.resume) == ("shutting_down", True)
        await ada.is_closed(1012)
        await stranger.is_closed(1012)


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(house: Open) -> None:
    async with house(shutdown_grace=2.0) as home:
        ada = await connect(
            f"ws://127.0.0.1:{home.server.port}/ws",
            subprotocols=["auralink.v1"],
            proxy=None,  # type: ignore[list-item]
        )
        ada.transport.pause_reading()  # type: ignore[attr-defined]
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 4.0
    ada.transport.abort()
    await ada.wait_closed()


async def test_a_message_of_ours_that_cannot_be_told_ends_nobodys_call(house: Open) -> None:
    async with house() as home, home.member("ada") as ada:
        peer = PeerId(f"{ada.welcome.participant}.1")
        home.media.emit(SlotsChanged(peer, {"\ud800": None}))  # no text: it cannot be encoded
        home.media.emit(SlotsChanged(peer, {"3": None}))
        assert (await ada.hear(m.Slots)).slots == [m.Slot(mid="3", track=None)]


async def test_a_fault_of_ours_in_one_event_closes_one_socket(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob") as bob:
        await ada.hear(m.ParticipantJoined)
        monkeypatch.setattr("signalling.conversation.ping", lambda *_: 1 / 0)
        await bob.say(type="ping")
        await bob.is_closed(1011)
        await ada.say(type="chat", text="still here")
        await ada.hear(m.ChatMessage)
        async with home.http() as client:
            assert "auralink_internal_errors_total 1.0" in (await client.get("/metrics")).text


async def test_moderation_from_outside_reaches_clients_and_is_counted_and_logged(
    house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "signalling")
    async with house() as home, home.member("ada") as ada:
        home.server.act(lambda conference: moderation.ban(conference, RoomName("room"), Identity("ada"), "admin"))
        assert (await ada.hear(m.Goodbye)).code == "banned"
        await ada.is_closed(4003)
        async with home.http() as client:
            text = (await client.get("/metrics")).text
        assert 'auralink_moderation_actions_total{action="ban"} 1.0' in text
        assert "Moderation in room 'room': ban of 'ada' by 'admin'" in caplog.text


async def test_a_verb_that_is_refused_from_outside_says_so(house: Open) -> None:
    async with house() as home:
        with pytest.raises(Refused) as refused:
            home.server.act(lambda conference: moderation.lock(conference, RoomName("room"), "admin"))
        assert refused.value.code == "unknown_room"


@pytest.mark.parametrize(("code", "there"), [(1000, False), (1001, False), (4999, True)])
async def test_a_page_that_closes_its_socket_has_left_and_any_other_end_may_be_a_loss(
    house: Open, code: int, there: bool
) -> None:
    async with house() as home, home.member("ada") as ada, home.member("bob") as bob:
        await ada.hear(m.ParticipantJoined)
        await bob.socket.close(code)
        home.media.emit(PeerStateChanged(PeerId(f"{bob.welcome.participant}.1"), "closed", "DTLS was closed"))
        if not there:
            assert (await ada.hear(m.ParticipantLeft)).reason == "timeout"
        else:
            await ada.say(type="ping")
            await ada.hear(m.Pong)
