"""What somebody who comes in is promised."""

from __future__ import annotations

import pytest

from sfu import media_plane as media
from signalling import messages as m
from signalling.commands import ClosePeer, OpenPeer, Subscribe
from signalling.limits import Rate
from signalling.tokens import SOURCES, Grant
from tests.support.playbook import Stage


def test_a_newcomer_is_told_who_is_there_and_the_others_of_the_newcomer() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    bob = stage.connects()
    bob.says(m.Join(token=stage.token("bob"), request="1"))
    welcome = bob.hears(m.Welcome)
    assert [member.identity for member in welcome.room.participants] == ["ada", "bob"]
    assert (welcome.room.name, welcome.request, welcome.resumed) == ("room", "1", False)
    assert welcome.permissions.publish == list(SOURCES)
    assert ada.hears(m.ParticipantJoined).participant == welcome.room.participants[1]
    bob.hears_nothing()


def test_rooms_do_not_hear_of_each_other() -> None:
    stage = Stage()
    ada = stage.joins("ada", room="one")
    bob = stage.joins("bob", room="two")
    bob.says(m.Chat(text="hello?"))
    ada.hears_nothing()


def test_a_newcomer_is_subscribed_to_all_that_is_published_and_asked_for_room_for_it() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    tracks = ada.publishes(("a0", "microphone"), ("v1", "camera"))
    stage.media()
    bob = stage.connects()
    bob.says(m.Join(token=stage.token("bob")))
    welcome = bob.hears(m.Welcome)
    assert welcome.receive == m.ReceiveSections(audio=4, video=4)
    peer = media.PeerId(f"{welcome.participant}.1")
    assert stage.media() == [OpenPeer(peer, "room"), Subscribe(peer, tuple(map(media.TrackId, tracks)))]


def test_who_subscribes_by_hand_or_may_not_gets_nothing_unasked() -> None:
    stage = Stage()
    stage.joins("ada").publishes(("a0", "microphone"))
    stage.media()
    stage.joins("bob", subscribe="manual")
    stage.joins("eve", grant=Grant(frozenset(), subscribe=False))
    assert not [command for command in stage.media() if isinstance(command, Subscribe)]


def test_the_same_identity_twice_leaves_the_newer_one_in() -> None:
    stage = Stage()
    old, other = stage.joins("ada"), stage.joins("bob")
    new = stage.connects()
    new.says(m.Join(token=stage.token("ada")))
    new.is_welcomed(new.hears(m.Welcome))
    assert not old.is_sent_away("replaced", 4001).resume
    left, joined = other.hears(m.ParticipantLeft), other.hears(m.ParticipantJoined)
    assert (left.participant, left.reason, joined.participant.id) == (old.id, "replaced", new.id)
    assert ClosePeer(media.PeerId(f"{old.id}.1")) in stage.media()
    new.says(m.Ping())
    new.hears(m.Pong)


def test_a_replaced_client_cannot_resume_and_its_late_words_do_nothing() -> None:
    stage = Stage()
    old = stage.joins("ada")
    new = stage.joins("ada")
    old.told.clear()
    old.says(m.Chat(text="I am still here"))
    old.vanishes()
    new.hears_nothing()
    old.resumes().is_refused("resume_failed")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c"])
def test_a_bad_token_is_refused_and_the_socket_closed(token: str) -> None:
    client = Stage().connects()
    client.says(m.Join(token=token, request="1"))
    error = client.is_refused("token_invalid")
    assert (error.field, error.request) == ("token", "1")
    client.is_sent_away("token_invalid", 1008)


def test_an_expired_token_says_so() -> None:
    stage = Stage()
    token = stage.token("ada", lifetime=60)
    stage.now += 66
    client = stage.connects()
    client.says(m.Join(token=token))
    client.is_refused("token_expired")


def test_the_first_message_must_be_join_or_resume() -> None:
    client = Stage().connects()
    client.says(m.Ping())
    client.is_refused("not_joined")
    client.is_sent_away("not_joined", 1008)


def test_one_joins_once() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    ada.says(m.Join(token=stage.token("bob")))
    ada.is_refused("already_joined")
    assert ada.closed is None


def test_who_says_nothing_is_sent_away_after_the_join_timeout() -> None:
    stage = Stage(join_timeout=10.0)
    silent, quick = stage.connects(), stage.joins("ada")
    stage.passes(9.9)
    silent.hears_nothing()
    stage.passes(0.1)
    silent.is_refused("join_timeout")
    silent.is_sent_away("join_timeout", 1008)
    quick.hears_nothing()


def test_a_full_room_refuses_but_lets_a_member_replace_itself() -> None:
    stage = Stage(max_participants_per_room=1)
    stage.joins("ada")
    bob = stage.connects()
    bob.says(m.Join(token=stage.token("bob")))
    bob.is_refused("room_full")
    stage.joins("ada")


def test_a_server_full_of_rooms_refuses_a_new_one() -> None:
    stage = Stage(max_rooms=1)
    stage.joins("ada")
    bob = stage.connects()
    bob.says(m.Join(token=stage.token("bob", room="another")))
    bob.is_refused("too_many_rooms")
    stage.joins("bob")


def test_joins_of_one_identity_are_limited_and_the_refusal_says_how_long() -> None:
    stage = Stage(joins=Rate(per_second=1.0, burst=2.0))
    refused: list[str] = []
    stage.conference.limited = refused.append
    for _ in range(2):
        stage.joins("ada")
    third = stage.connects(address="198.51.100.7")
    third.says(m.Join(token=stage.token("ada")))
    assert third.is_refused("rate_limited").retry_after == pytest.approx(1.0, abs=0.01)
    third.is_sent_away("rate_limited", 1013)
    assert refused == ["joins_per_identity"]
    stage.joins("bob")
    stage.joins("ada", room="another")
    stage.now += 1.0
    stage.joins("ada")


def test_many_people_behind_one_address_are_not_refused_because_of_each_other() -> None:
    stage = Stage(joins=Rate(per_second=0.001, burst=1.0), failures=Rate(per_second=0.001, burst=1.0))
    stage.connects().says(m.Join(token="nonsense"))
    stage.connects().says(m.Join(token="nonsense"))
    for number in range(150):
        stage.joins(f"worker {number}")


def test_what_fails_counts_against_its_address_and_what_joins_does_not() -> None:
    stage = Stage(failures=Rate(per_second=1.0, burst=3.0), join_timeout=0.5)
    stage.joins("ada")
    stage.connects(address="198.51.100.7").says(m.Ping())
    failures = stage.conference.failures
    assert (failures.wait("192.0.2.1", 0.0), failures.wait("198.51.100.7", 0.0)) == (0.0, 0.0)
    stage.connects().says(m.Join(token="nonsense"))
    stage.connects().says(m.Resume(resume_token="nonsense"))
    stage.connects()  # and says nothing
    stage.passes(0.5)
    assert failures.wait("192.0.2.1", 0.5) == pytest.approx(0.5)
    assert failures.wait("198.51.100.7", 0.5) == 0.0


def test_connections_of_one_identity_are_limited_until_they_are_gone() -> None:
    stage = Stage(max_connections_per_identity=2)
    first = stage.joins("ada")
    stage.joins("ada")  # the first one is told goodbye, but its socket is not gone yet
    third = stage.connects()
    third.says(m.Join(token=stage.token("ada")))
    third.is_refused("too_many_connections")
    third.is_sent_away("too_many_connections", 1013)
    first.vanishes()
    third.vanishes()
    stage.joins("ada")


def test_a_resume_that_comes_too_soon_keeps_its_token() -> None:
    stage = Stage(joins=Rate(per_second=1.0, burst=1.0))
    ada = stage.joins("ada")
    ada.vanishes()
    ada.resumes().is_refused("rate_limited")
    stage.passes(1.0)
    ada.resumes().hears(m.Welcome)


# ----------------------------------------------------------------------------------------------------------- resume


def test_a_lost_socket_is_no_leave_and_a_resume_gets_one_snapshot() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.vanishes()
    bob.says(m.Chat(text="missed"))
    bob.hears(m.ChatMessage)
    (track,) = bob.publishes(("a0", "microphone"))
    stage.reports(media.SlotsChanged(stage.peer_of(ada), {"3": media.TrackId(track)}))
    stage.passes(29.0)
    back = ada.resumes()
    welcome = back.hears(m.Welcome)
    back.hears_nothing()
    assert (welcome.participant, welcome.resumed) == (ada.id, True)
    assert [info.id for info in welcome.room.participants[1].tracks] == [track]
    assert welcome.slots == [m.Slot(mid="3", track=track)]
    assert [said.text for said in welcome.chat] == ["missed"]
    bob.hears_nothing()


def test_missed_chat_is_bounded_to_the_newest() -> None:
    stage = Stage(recent_chat=2)
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.vanishes()
    for text in ("1", "2", "3"):
        bob.says(m.Chat(text=text))
    assert [said.text for said in ada.resumes().hears(m.Welcome).chat] == ["2", "3"]


def test_what_was_said_into_a_dead_socket_is_not_lost() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    bob.says(m.Chat(text="long known"))
    stage.passes(10.0)
    ada.says(m.Ping())
    stage.passes(20.0)  # the network is gone, and the server does not know yet
    bob.says(m.Chat(text="missed"))
    ada.says(m.Chat(text="the reply is lost"))
    stage.passes(1.0)
    back = ada.resumes()
    assert [said.text for said in back.hears(m.Welcome).chat] == ["missed", "the reply is lost"]


def test_a_resume_token_works_once_and_every_welcome_brings_a_new_one() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    ada.vanishes()
    back = ada.resumes()
    fresh = back.hears(m.Welcome).resume_token
    assert fresh != ada.resume_token
    assert len(fresh) == 22  # 128 bits in base64url
    thief = ada.resumes()
    thief.is_refused("resume_failed")
    thief.is_sent_away("resume_failed", 1008)
    back.hears_nothing()
    ada.resumes(fresh).hears(m.Welcome)


def test_a_takeover_closes_the_old_socket_and_its_late_words_do_nothing() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    back = ada.resumes()
    back.hears(m.Welcome)
    ada.is_sent_away("taken_over", 4002)
    ada.says(m.Chat(text="from the grave"))
    ada.says(m.Leave())
    ada.vanishes()
    bob.hears_nothing()
    stage.passes(100.0)
    back.says(m.Ping())
    back.hears(m.Pong)


def test_nothing_is_resumed_after_the_window() -> None:
    stage = Stage(resume_window=30.0)
    ada, bob = stage.joins("ada"), stage.joins("bob")
    peer = stage.peer_of(ada)
    ada.vanishes()
    stage.passes(29.9)
    bob.hears_nothing()
    stage.passes(0.1)
    assert bob.hears(m.ParticipantLeft) == m.ParticipantLeft(participant=ada.id, reason="timeout")
    assert ClosePeer(peer) in stage.media()
    ada.resumes().is_refused("resume_failed")


def test_a_client_that_comes_back_hears_that_its_media_ended_meanwhile() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.reports(media.PeerStateChanged(stage.peer_of(ada), "failed", "DTLS failed"))
    ada.told.clear()
    back = ada.resumes()
    back.hears(m.Welcome)
    assert back.hears(m.MediaState).state == "failed"


def test_when_the_server_ends_everybody_is_told_and_nobody_new_is_let_in() -> None:
    stage = Stage()
    ada, stranger = stage.joins("ada"), stage.connects()
    stage.ends()
    assert ada.is_sent_away("shutting_down", 1012).resume
    stranger.is_sent_away("shutting_down", 1012)
    late = stage.connects()
    late.says(m.Join(token=stage.token("bob")))
    late.is_refused("shutting_down")
    late.is_sent_away("shutting_down", 1012)
