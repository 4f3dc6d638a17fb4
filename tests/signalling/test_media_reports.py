"""What clients are told of what media reports."""

from __future__ import annotations

from sfu import media_plane as media
from signalling import messages as m
from tests.support.playbook import Stage


def test_renegotiation_is_asked_for_but_not_what_welcome_asked_for_already() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.reports(media.NegotiationNeeded(stage.peer_of(ada), 2, 2))
    ada.hears_nothing()
    stage.reports(media.NegotiationNeeded(stage.peer_of(ada), 8, 4))
    assert ada.hears(m.Renegotiate) == m.Renegotiate(audio=8, video=4)
    assert ada.resumes().hears(m.Welcome).receive == m.ReceiveSections(audio=8, video=4)


def test_speakers_are_participants_and_told_only_when_that_is_new() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    microphone, screen = ada.publishes(("a0", "microphone"), ("a1", "screen_audio"))
    loud = media.SpeakersChanged("room", ((media.TrackId(screen), 0.2), (media.TrackId(microphone), 0.7)))
    stage.reports(loud)
    assert bob.hears(m.Speakers).speakers == [m.Speaker(participant=ada.id, level=0.7)]
    stage.reports(loud)
    bob.hears_nothing()
    newcomer = stage.connects()
    newcomer.says(m.Join(token=stage.token("eve")))
    newcomer.hears(m.Welcome)
    assert newcomer.hears(m.Speakers).speakers[0].participant == ada.id


def test_who_cannot_decode_a_track_is_told() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.reports(media.TrackUnreceivable(stage.peer_of(ada), media.TrackId("t_1"), "H264"))
    assert ada.hears(m.TrackUnreceivable).codec == "H264"


def test_events_of_a_peer_that_is_gone_do_nothing() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    gone = media.PeerId("p_gone.1")
    for event in (
        media.SlotsChanged(gone, {}),
        media.NegotiationNeeded(gone, 9, 9),
        media.PeerStateChanged(gone, "closed", ""),
        media.TrackUnreceivable(gone, media.TrackId("t"), "VP8"),
        media.SpeakersChanged("no such room", ()),
    ):
        stage.reports(event)
    stage.refuses(gone)
    ada.hears_nothing()
