"""What somebody who tests the way before joining is promised, and everybody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu import media_plane as media
from signalling import messages as m
from signalling.commands import AnswerOffer, ClosePeer, OpenPeer
from signalling.limits import Rate
from tests.support.playbook import EVERYTHING, Client, Stage


def checking(stage: Stage, identity: str = "ada") -> Client:
    """Somebody whose test has begun."""
    client = stage.connects()
    client.says(m.Check(token=stage.token(identity), request="1"))
    assert client.hears(m.Checking).request == "1"
    return client


def test_a_test_offers_pings_and_leaves_and_its_peer_is_gone() -> None:
    stage = Stage()
    client = checking(stage)
    client.says(m.Ping(request="2"))
    assert client.hears(m.Pong).request == "2"
    client.offers(("a0", "microphone"))
    answer = client.hears(m.SdpAnswer)
    assert (answer.sdp, answer.request, [track.mid for track in answer.tracks]) == ("answer to offer", "offer", ["a0"])
    opened, offered = stage.media()
    assert isinstance(opened, OpenPeer)
    assert isinstance(offered, AnswerOffer)
    client.says(m.Leave(request="3"))
    assert client.is_sent_away("left", 1000).request == "3"
    client.vanishes()
    assert stage.media() == [ClosePeer(opened.peer)]
    assert not stage.conference.checks


def test_nobody_hears_of_a_test_and_its_media_is_in_a_room_that_no_token_can_name() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.media()
    client = checking(stage, "ada")
    client.offers(("a0", "microphone"))
    client.vanishes()
    ada.hears_nothing()
    assert stage.conference.rooms.size(stage.conference.sessions[ada.id].room) == 1  # type: ignore[index]
    opened = stage.media()[0]
    assert isinstance(opened, OpenPeer)
    assert "{" in opened.room


def test_two_tests_do_not_share_a_room() -> None:
    stage = Stage()
    checking(stage)
    checking(stage)
    one, other = (command.room for command in stage.media() if isinstance(command, OpenPeer))
    assert one != other


def test_a_test_that_takes_its_time_is_ended() -> None:
    stage = Stage(check_time=30.0)
    early = checking(stage)
    stage.passes(10.0)
    late = checking(stage)
    stage.passes(19.9)
    early.hears_nothing()
    stage.media()
    stage.passes(0.2)
    assert not early.is_sent_away("check_over", 1000).resume
    late.hears_nothing()
    assert len(stage.media()) == 1
    early.vanishes()
    assert stage.media() == []


def test_a_lost_socket_ends_the_test() -> None:
    stage = Stage()
    client = checking(stage)
    peer = stage.opened()[0]
    client.vanishes()
    assert stage.media() == [ClosePeer(peer)]


@pytest.mark.parametrize(
    "message",
    [
        m.Chat(text="hello"),
        m.Subscribe(tracks=["t_1"]),
        m.Mute(track="t_1"),
        m.Join(token="t"),
        m.Resume(resume_token="t"),
        m.Check(token="t"),
    ],
)
def test_there_is_nothing_but_offer_ping_and_leave(message: m.ClientMessage) -> None:
    client = checking(Stage())
    client.says(message)
    client.is_refused("not_joined")
    assert client.closed is None


def test_a_test_needs_a_token_that_could_join() -> None:
    stage = Stage()
    client = stage.connects()
    client.says(m.Check(token="nonsense"))
    client.is_refused("token_invalid")
    client.is_sent_away("token_invalid", 1008)
    assert stage.media() == []


def test_who_is_banned_from_the_room_cannot_test_and_who_finds_it_locked_can() -> None:
    stage = Stage()
    mod = stage.joins("mod", grant=replace(EVERYTHING, admin=True))
    mod.says(m.Ban(identity="eve"))
    mod.says(m.Lock())
    eve = stage.connects()
    eve.says(m.Check(token=stage.token("eve")))
    eve.is_refused("banned")
    checking(stage, "ada")


def test_a_member_cannot_begin_a_test_on_the_same_socket() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    ada.says(m.Check(token=stage.token("ada")))
    ada.is_refused("already_joined")


def test_tests_are_few_at_once_and_counted_with_the_joins_of_an_identity() -> None:
    stage = Stage(max_checks=1)
    first = checking(stage)
    second = stage.connects()
    second.says(m.Check(token=stage.token("bob")))
    assert second.is_refused("too_many_checks").retry_after
    second.is_sent_away("too_many_checks", 1013)
    first.vanishes()
    checking(stage)

    stage = Stage(joins=Rate(per_second=1.0, burst=1.0))
    for identity, code in (("ada", ""), ("bob", ""), ("bob", "rate_limited")):
        client = stage.connects()
        client.says(m.Check(token=stage.token(identity)))
        if code:
            client.is_refused(code)
        else:
            client.hears(m.Checking)


def test_offers_of_a_test_are_few_small_and_one_at_a_time() -> None:
    stage = Stage()
    client = checking(stage)
    client.offers(("a0", "microphone"), ("a1", "microphone"), ("v1", "camera"))
    client.is_refused("invalid_message")
    client.offers(("a0", "microphone"), ("a0", "microphone"))
    client.is_refused("invalid_message")
    stage.answering = False
    client.offers()
    client.offers()
    client.is_refused("offer_pending")
    stage.answering = True
    stage.answers_all()
    client.hears(m.SdpAnswer)
    for _ in range(2):
        client.offers()
        client.hears(m.SdpAnswer)
    client.offers()
    client.is_refused("too_many_offers")


def test_a_refused_offer_is_told_and_the_next_may_succeed() -> None:
    stage = Stage()
    client = checking(stage)
    peer = stage.opened()[0]
    stage.answering = False
    client.offers()
    stage.refuses(peer)
    assert client.is_refused("offer_invalid").request == "offer"
    client.offers()
    stage.answers_all()
    client.hears(m.SdpAnswer)


def test_what_media_reports_of_a_test_and_what_comes_too_late_disturbs_nobody() -> None:
    stage = Stage()
    client = checking(stage)
    peer = stage.opened()[0]
    stage.reports(media.PeerStateChanged(peer, "connected", ""))
    stage.reports(media.NegotiationNeeded(peer, audio=4, video=4))
    client.hears_nothing()
    stage.answering = False
    client.offers(("a0", "microphone"))
    client.vanishes()
    stage.answers_all()
    stage.refuses(peer)
    client.hears_nothing()


def test_the_end_of_the_server_and_too_much_nonsense_end_a_test() -> None:
    stage = Stage(max_bad_messages=2)
    fool, patient = checking(stage), checking(stage, "bob")
    stage.media()
    for _ in range(3):
        fool.babbles()
    assert not next(said for said in fool.told if isinstance(said, m.Goodbye)).resume
    stage.ends()
    patient.is_sent_away("shutting_down", 1012)
    for client in (fool, patient):
        client.vanishes()
    assert len([command for command in stage.media() if isinstance(command, ClosePeer)]) == 2
