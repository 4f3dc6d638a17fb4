"""What somebody who publishes or receives media is promised."""

from __future__ import annotations

import pytest

from sfu import media_plane as media
from signalling import messages as m
from signalling.commands import AnswerOffer, ClosePeer, OpenPeer, SetMuted, Subscribe
from signalling.events import OfferAnswered
from signalling.limits import Rate
from signalling.tokens import Grant
from tests.support.playbook import Stage


def test_an_offer_is_answered_and_the_others_hear_of_its_tracks() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.offers(("a0", "microphone"), ("v1", "camera"))
    answer = ada.hears(m.SdpAnswer)
    assert (answer.sdp, answer.request, [track.mid for track in answer.tracks]) == (
        "answer to offer",
        "offer",
        ["a0", "v1"],
    )
    microphone, camera = bob.hears(m.TrackPublished), bob.hears(m.TrackPublished)
    assert (microphone.track.kind, microphone.track.source) == ("audio", "microphone")
    assert camera.track == m.TrackInfo(id=answer.tracks[1].track, kind="video", source="camera", muted=False)
    ada.hears_nothing()
    assert Subscribe(stage.peer_of(bob), (media.TrackId(camera.track.id),)) in stage.media()


def test_a_track_keeps_its_id_from_offer_to_offer_and_ends_when_it_is_left_out() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    first = ada.publishes(("a0", "microphone"), ("v1", "camera"))
    ada.offers(("a0", "microphone"), ("v2", "screen"))
    second = [track.track for track in ada.hears(m.SdpAnswer).tracks]
    assert second[0] == first[0]
    assert bob.hears(m.TrackUnpublished) == m.TrackUnpublished(participant=ada.id, track=first[1])
    assert bob.hears(m.TrackPublished).track.id == second[1]
    bob.hears_nothing()


def test_another_source_on_the_same_section_is_another_track() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    (camera,) = ada.publishes(("v1", "camera"))
    ada.offers(("v1", "screen"))
    assert ada.hears(m.SdpAnswer).tracks[0].track != camera
    assert bob.hears(m.TrackUnpublished).track == camera


def test_what_the_token_does_not_allow_never_reaches_media() -> None:
    stage = Stage()
    ada = stage.joins("ada", grant=Grant(frozenset({"microphone"})))
    stage.media()
    ada.offers(("a0", "microphone"), ("v1", "camera"))
    answer = ada.hears(m.SdpAnswer)
    assert [(track.mid, track.code) for track in answer.rejected] == [("v1", "permission_denied")]
    (asked,) = [command for command in stage.media() if isinstance(command, AnswerOffer)]
    assert [track.mid for track in asked.tracks] == ["a0"]


def test_a_camera_that_calls_itself_a_microphone_is_neither_listed_nor_forwarded() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada", grant=Grant(frozenset({"microphone"}))), stage.joins("bob")
    stage.media()
    ada.offers(("v1", "microphone"))
    answer = ada.hears(m.SdpAnswer)
    assert ([track.code for track in answer.rejected], answer.tracks) == (["kind_mismatch"], [])
    bob.hears_nothing()
    asked = stage.media()
    assert any(isinstance(command, SetMuted) and command.muted for command in asked)
    assert not [command for command in asked if isinstance(command, Subscribe)]


def test_tracks_of_one_participant_are_limited() -> None:
    ada = Stage(max_tracks_per_participant=1).joins("ada")
    ada.offers(("a0", "microphone"), ("v1", "camera"))
    assert [track.code for track in ada.hears(m.SdpAnswer).rejected] == ["too_many_tracks"]


def test_a_mid_named_twice_is_refused() -> None:
    ada = Stage().joins("ada")
    ada.offers(("a0", "microphone"), ("a0", "screen_audio"))
    assert ada.is_refused("invalid_message").field == "tracks"


def test_what_media_rejects_is_told_and_not_listed() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    stage.answering = False
    ada.offers(("v1", "camera"))
    stage.happens(OfferAnswered(stage.peer_of(ada), media.Answer("sdp", (), {"v1": "no common codec"})))
    assert ada.hears(m.SdpAnswer).rejected == [
        m.RejectedTrack(mid="v1", code="track_rejected", message="no common codec")
    ]
    bob.hears_nothing()


def test_a_refused_offer_changes_nothing() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.publishes(("a0", "microphone"))
    stage.answering = False
    ada.offers()
    stage.refuses(stage.peer_of(ada))
    assert ada.is_refused("offer_invalid").request == "offer"
    bob.hears_nothing()


def test_one_offer_waits_for_the_one_before_and_a_third_is_refused() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.answering = False
    ada.offers(sdp="one")
    ada.offers(sdp="two")
    ada.offers(sdp="three")
    ada.is_refused("offer_pending")
    stage.answers_all()
    assert ada.hears(m.SdpAnswer).sdp == "answer to one"
    ada.hears_nothing()
    stage.answers_all()
    assert ada.hears(m.SdpAnswer).sdp == "answer to two"


def test_an_answer_that_comes_after_a_takeover_is_not_told_to_the_new_socket() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    stage.answering = False
    ada.offers(("a0", "microphone"))
    back = ada.resumes()
    back.hears(m.Welcome)
    stage.answers_all()
    back.hears_nothing()
    bob.hears(m.TrackPublished)


def test_a_track_published_muted_is_muted_in_media_and_in_the_roster() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    ada.offers(("a0", "microphone"), muted=True)
    track = bob.hears(m.TrackPublished).track
    assert track.muted
    assert SetMuted(stage.peer_of(ada), media.TrackId(track.id), True) in stage.media()
    ada.offers(("a0", "microphone"))
    assert not bob.hears(m.TrackMuted).muted


def test_a_failed_transport_ends_its_tracks_and_the_next_offer_begins_a_new_one() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    (track,) = bob.publishes(("a0", "microphone"))
    (own,) = ada.publishes(("a0", "microphone"))
    old = stage.peer_of(ada)
    stage.media()
    stage.reports(media.PeerStateChanged(old, "failed", "the handshake failed"))
    assert ada.hears(m.MediaState).state == "failed"
    assert ada.hears(m.MediaRestart).reason == "the handshake failed"
    assert bob.hears(m.TrackUnpublished).track == own
    assert stage.media() == [ClosePeer(old)]
    ada.offers(("a0", "microphone"))
    new = stage.peer_of(ada)
    assert new != old
    assert stage.media()[:2] == [OpenPeer(new, "room"), Subscribe(new, (media.TrackId(track),))]
    assert ada.hears(m.SdpAnswer).tracks[0].track != own


def test_an_offer_in_flight_when_the_transport_ends_is_answered_with_an_error() -> None:
    stage = Stage()
    ada = stage.joins("ada")
    stage.answering = False
    ada.offers()
    stage.reports(media.PeerStateChanged(stage.peer_of(ada), "closed", "silence"))
    ada.hears(m.MediaState)
    assert ada.is_refused("peer_closed").request == "offer"
    ada.hears(m.MediaRestart)
    stage.answers_all()
    ada.hears_nothing()


def test_silence_on_media_and_no_socket_is_a_leave() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    peer = stage.peer_of(ada)
    ada.vanishes()
    stage.reports(media.PeerStateChanged(peer, "disconnected", "silence"))
    stage.reports(media.PeerStateChanged(peer, "closed", "silence"))
    stage.passes(2.9)
    bob.hears_nothing()
    stage.passes(0.2)
    assert bob.hears(m.ParticipantLeft).reason == "timeout"


@pytest.mark.parametrize("media_first", [True, False])
def test_a_page_that_closes_its_socket_and_its_media_has_left(media_first: bool) -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    closed = media.PeerStateChanged(stage.peer_of(ada), "closed", "DTLS was closed")
    if media_first:
        stage.reports(closed)
    ada.vanishes(clean=True)
    stage.reports(closed)
    assert bob.hears(m.ParticipantLeft).reason == "timeout"


def test_a_client_that_rebuilds_both_socket_and_media_is_still_there() -> None:
    stage = Stage()
    ada, bob = stage.joins("ada"), stage.joins("bob")
    peer = stage.peer_of(ada)
    stage.reports(media.PeerStateChanged(peer, "closed", "silence"))
    ada.vanishes()
    stage.passes(2.0)
    back = ada.resumes()
    back.hears(m.Welcome)
    assert back.hears(m.MediaState).state == "failed"
    stage.passes(5.0)
    back.offers(("a0", "microphone"))
    back.hears(m.SdpAnswer)
    assert bob.hears(m.TrackPublished).participant == ada.id


def test_offers_without_end_are_refused_for_a_while_and_counted() -> None:
    stage = Stage(offers=Rate(per_second=1.0, burst=3.0))
    limited: list[str] = []
    stage.conference.limited = limited.append
    ada = stage.joins("ada")
    for _ in range(3):
        ada.publishes(("a0", "microphone"))
    ada.offers(("a0", "microphone"))
    assert ada.is_refused("rate_limited").retry_after == 1.0
    assert limited == ["offers_per_session"]
    stage.now += 1.0
    ada.publishes(("a0", "microphone"))
