"""Leaving, and being forgotten, in good order."""

from __future__ import annotations

from typing import Any

import pytest

from sfu import media_plane as media
from signalling import messages as m
from state.model import ParticipantId
from tests.support.playbook import Client, Stage


def call() -> tuple[Stage, Client, Client]:
    """Two members of one room."""
    stage = Stage()
    return stage, stage.joins("bob"), stage.joins("ada")


def test_leaving_answers_an_offer_in_flight_before_goodbye() -> None:
    stage, _, ada = call()
    stage.answering = False
    ada.offers()
    ada.says(m.Leave(request="1"))
    assert ada.is_refused("peer_closed").request == "offer"
    assert ada.is_sent_away("left", 1000).request == "1"


def test_who_left_does_not_speak_to_those_who_come_later() -> None:
    stage, _, ada = call()
    (track,) = ada.publishes(("a0", "microphone"))
    stage.reports(media.SpeakersChanged("room", ((media.TrackId(track), 0.7),)))
    ada.says(m.Leave())
    eve = stage.connects()
    eve.says(m.Join(token=stage.token("eve")))
    eve.hears(m.Welcome)
    eve.hears_nothing()


def test_one_session_that_cannot_be_ended_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, mod, ada = call()
    eve = stage.joins("eve")
    ada.vanishes()
    eve.vanishes()
    broken = stage.conference.rooms.leave

    def leave(participant: ParticipantId) -> Any:
        if participant == ada.id:
            raise RuntimeError("a fault of ours")
        return broken(participant)

    monkeypatch.setattr(stage.conference.rooms, "leave", leave)
    with pytest.raises(RuntimeError):
        stage.passes(31.0)
    stage.conference.sessions.pop(ParticipantId(ada.id), None)
    monkeypatch.undo()
    stage.conference.rooms.leave(ParticipantId(ada.id))
    stage.passes(1.0)
    assert [type(message) for message in mod.told][-1] is m.ParticipantLeft
    assert list(stage.conference.sessions) == [mod.id]
