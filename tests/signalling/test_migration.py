"""What those are promised who shall go on elsewhere, or with new media."""

from __future__ import annotations

import pytest

from signalling import messages as m
from signalling import migration
from signalling.commands import ClosePeer, OpenPeer
from tests.support.playbook import MODERATOR, Stage

THERE = "wss://two.example.org/ws"


def begins(stage: Stage, spread: float = 3.0, patience: float = 10.0) -> None:
    """The server asks everybody to go on elsewhere."""
    migration.begin(stage.conference, THERE, "shutting_down", spread=spread, patience=patience)


def test_who_shall_build_new_media_stays_in_the_room_and_publishes_anew() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    (track,) = ada.publishes(("a0", "microphone"))
    old = stage.peer_of(ada)
    stage.media()
    migration.restart_media(stage.conference, stage.conference.sessions[ada.id], "operator")  # type: ignore[index]
    stage.passes(0.0)
    assert ada.hears(m.MediaRestart).reason == "operator"
    assert bob.hears(m.TrackUnpublished).track == track
    assert stage.media() == [ClosePeer(old)]
    ada.offers(("a0", "microphone"))
    assert ada.hears(m.SdpAnswer).tracks[0].track != track
    assert bob.hears(m.TrackPublished).participant == ada.id
    bob.hears_nothing()
    assert isinstance(stage.media()[0], OpenPeer)


def test_everybody_can_be_told_to_build_new_media_also_before_the_first_offer_and_without_a_socket() -> None:
    stage = Stage()
    ada, bob, cleo = stage.joins("ada"), stage.joins("bob"), stage.joins("cleo")
    bob.publishes(("a0", "microphone"))
    cleo.vanishes()
    migration.restart_all_media(stage.conference, "operator")
    stage.passes(0.0)
    ada.hears(m.MediaRestart)
    bob.hears(m.MediaRestart)
    back = cleo.resumes()
    back.hears(m.Welcome)
    assert back.hears(m.MediaState).state == "failed"


def test_everybody_is_asked_to_go_on_elsewhere_at_a_time_of_ones_own() -> None:
    stage = Stage()
    clients = [stage.joins(name) for name in ("ada", "bob", "cleo", "dan")]
    begins(stage)
    asked: dict[int, float] = {}
    for _ in range(12):
        stage.passes(0.25)
        for client in clients:
            if client.told:
                message = client.hears(m.Migrate)
                asked[client.socket] = stage.now
                assert (message.url, message.reason) == (THERE, "shutting_down")
                assert message.deadline == pytest.approx(10.0 - stage.now, abs=0.001)
    assert len(asked) == 4
    assert len(set(asked.values())) > 1
    stage.passes(1.0)
    for client in clients:
        client.hears_nothing()


def test_nobody_is_let_in_while_everybody_goes_but_who_comes_back_is_asked_again() -> None:
    stage = Stage()
    ada, stranger = stage.joins("ada"), stage.connects()
    begins(stage, spread=0.0)
    stage.passes(0.1)
    ada.hears(m.Migrate)
    stranger.says(m.Join(token=stage.token("bob")))
    stranger.is_refused("shutting_down")
    back = ada.resumes()
    back.hears(m.Welcome)
    assert back.hears(m.Migrate).url == THERE


def test_who_is_admitted_while_everybody_goes_is_asked_to_go_too() -> None:
    stage = Stage()
    mod, eve = stage.joins("mod", grant=MODERATOR), stage.connects()
    eve.says(m.Join(token=stage.token("eve", wait=True)))
    waiting = eve.hears(m.Waiting).participant
    begins(stage, spread=0.0)
    stage.passes(0.1)
    mod.says(m.Admit(participant=waiting))
    eve.hears(m.Welcome)
    assert eve.hears(m.Migrate).url == THERE


def test_who_comes_back_before_being_asked_is_asked_once() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    begins(stage, spread=3.0)
    back = ada.resumes()
    back.hears(m.Welcome)
    back.hears_nothing()
    stage.passes(3.0)
    back.hears(m.Migrate)
    stage.passes(3.0)
    back.hears_nothing()


def test_who_has_left_is_not_asked() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    begins(stage)
    ada.says(m.Leave())
    stage.passes(3.0)
    ada.is_sent_away("left", 1000)


def test_the_others_are_told_that_somebody_goes_on_elsewhere() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.says(m.Leave(reason="migrated"))
    assert bob.hears(m.ParticipantLeft) == m.ParticipantLeft(participant=ada.id, reason="migrated")


def test_a_single_client_may_take_its_time() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    migration.migrate(stage.conference, stage.conference.sessions[ada.id], THERE, "rebalance")  # type: ignore[index]
    stage.passes(0.0)
    assert ada.hears(m.Migrate) == m.Migrate(url=THERE, reason="rebalance")
