"""What a member of a room may ask for, and what it may not."""

from __future__ import annotations

import pytest

from sfu import media_plane as media
from signalling import messages as m
from signalling.commands import ClosePeer, SetMuted, Subscribe, Unsubscribe
from signalling.limits import Rate
from signalling.tokens import SOURCES, Grant
from tests.support.playbook import WALL_AT_ZERO, Stage


def test_chat_reaches_the_room_and_comes_back_to_its_sender_as_the_reply() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.says(m.Chat(text="hello", request="1"))
    heard, reply = bob.hears(m.ChatMessage), ada.hears(m.ChatMessage)
    assert (heard.text, heard.sender, heard.name, heard.at, heard.request) == (
        "hello",
        ada.id,
        "ada",
        WALL_AT_ZERO,
        m.UNSET,
    )
    assert (reply.id, reply.request) == (heard.id, "1")


def test_private_chat_reaches_one() -> None:
    stage = Stage()
    ada, bob, eve = stage.joins("ada"), stage.joins("bob"), stage.joins("eve")
    ada.says(m.Chat(text="psst", to=bob.id))
    assert bob.hears(m.ChatMessage).to == bob.id
    eve.hears_nothing()


def test_nobody_chats_into_another_room() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob", room="another")
    ada.says(m.Chat(text="psst", to=bob.id))
    assert ada.is_refused("unknown_participant").field == "to"


def test_chat_needs_permission_and_has_a_rate() -> None:
    stage = Stage(chats=Rate(per_second=1.0, burst=1.0))
    mute = stage.joins("ada", grant=Grant(frozenset(), chat=False))
    mute.says(m.Chat(text="hello"))
    mute.is_refused("permission_denied")
    bob = stage.joins("bob")
    bob.says(m.Chat(text="1"))
    bob.hears(m.ChatMessage)
    bob.says(m.Chat(text="2", request="2"))
    error = bob.is_refused("rate_limited")
    assert (error.request, error.retry_after) == ("2", pytest.approx(1.0, abs=0.01))


def test_one_mutes_ones_own_track_and_the_others_hear_of_it_once() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    (track,) = ada.publishes(("a0", "microphone"))
    stage.media()
    for _ in range(2):
        ada.says(m.Mute(track=track, request="1"))
        ada.hears(m.Done)
    assert bob.hears(m.TrackMuted) == m.TrackMuted(participant=ada.id, track=track, muted=True)
    bob.hears_nothing()
    assert stage.media() == [SetMuted(stage.peer_of(ada), media.TrackId(track), True)]
    ada.says(m.Unmute(track=track))
    assert not bob.hears(m.TrackMuted).muted
    ada.hears_nothing()  # no request id, no reply


def test_nobody_mutes_anothers_track() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    (track,) = ada.publishes(("a0", "microphone"))
    bob.says(m.Mute(track=track))
    bob.is_refused("unknown_track")
    ada.hears_nothing()


def test_tracks_are_subscribed_to_and_left_one_by_one() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob", subscribe="manual")
    (track,) = ada.publishes(("v1", "camera"))
    stage.media()
    peer = stage.peer_of(bob)
    for _ in range(2):
        bob.says(m.Subscribe(tracks=[track], request="1"))
        bob.hears(m.Done)
    for _ in range(2):
        bob.says(m.Unsubscribe(tracks=[track], request="2"))
        bob.hears(m.Done)
    ids = (media.TrackId(track),)
    assert stage.media() == [Subscribe(peer, ids), Unsubscribe(peer, ids)]


def test_one_subscribes_only_to_tracks_of_others_in_the_room() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob", room="another")
    (own,) = ada.publishes(("a0", "microphone"))
    (foreign,) = bob.publishes(("a0", "microphone"))
    stage.media()
    for track in (own, foreign, "t_none"):
        ada.says(m.Subscribe(tracks=[track]))
        assert ada.is_refused("unknown_track").field == "tracks[0]"
    assert stage.media() == []


def test_subscribing_needs_permission() -> None:
    stage = Stage()
    ada = stage.joins("ada", grant=Grant(frozenset(SOURCES), subscribe=False))
    ada.says(m.Subscribe(tracks=["t"]))
    ada.is_refused("permission_denied")


def test_leaving_is_answered_told_and_final() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    peer = stage.peer_of(ada)
    ada.says(m.Leave(request="1"))
    goodbye = ada.is_sent_away("left", 1000)
    assert (goodbye.resume, goodbye.request) == (False, "1")
    assert bob.hears(m.ParticipantLeft) == m.ParticipantLeft(participant=ada.id, reason="left")
    assert ClosePeer(peer) in stage.media()
    ada.vanishes()
    ada.resumes().is_refused("resume_failed")


def test_an_empty_room_leaves_nothing_behind() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    ada.publishes(("a0", "microphone"))
    ada.says(m.Leave())
    ada.vanishes()
    conference = stage.conference
    for left in (
        conference.rooms,
        conference.sockets,
        conference.strangers,
        conference.sessions,
        conference.detached,
        conference.resumable,
        conference.peers,
        conference.speakers,
    ):
        assert len(left) == 0


def test_ping_is_answered_with_its_id() -> None:
    ada = Stage().joins("ada")
    ada.says(m.Ping(request="9"))
    assert ada.hears(m.Pong).request == "9"


def test_what_is_no_message_gets_an_error_and_does_no_harm() -> None:
    ada = Stage().joins("ada")
    ada.babbles()
    error = ada.is_refused("invalid_json")
    assert (error.request, ada.closed) == ("7", None)


def test_nonsense_without_end_closes_the_socket_but_not_the_session() -> None:
    stage = Stage(max_bad_messages=3, bad_message_window=10.0)
    ada, bob = stage.joins("ada"), stage.joins("bob")
    for _ in range(3):
        ada.babbles()
    stage.now += 10.0
    for _ in range(3):
        ada.babbles()
    assert ada.closed is None
    ada.told.clear()
    ada.babbles()
    ada.is_refused("invalid_json")
    assert ada.is_sent_away("too_many_errors", 1008).resume
    bob.hears_nothing()
    ada.resumes().hears(m.Welcome)


def test_who_sends_too_fast_is_answered_and_read_more_slowly() -> None:
    stage = Stage(messages=Rate(per_second=2.0, burst=5.0), max_bad_messages=3)
    limited: list[str] = []
    stage.conference.limited = limited.append
    ada = stage.joins("ada")
    for _ in range(4):
        ada.says(m.Ping())
    assert (len(ada.told), ada.slowed) == (4, 0.0)
    for number in range(1, 21):
        ada.says(m.Ping())
        assert ada.slowed == pytest.approx(0.5 * number)
        stage.passes(0.5)  # as long as it was not read
    assert {type(message) for message in ada.told} == {m.Pong}
    assert ada.closed is None
    assert limited == ["messages_per_connection"] * 20
