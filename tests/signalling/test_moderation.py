"""What moderators may do to members, and that it holds."""

from __future__ import annotations

from typing import Any

import pytest

from sfu import media_plane as media
from signalling import messages as m
from signalling import moderation
from signalling.commands import ClosePeer, Record, SetMuted, Subscribe, Unsubscribe
from signalling.conference import Refused
from state.model import Identity, ParticipantId, RoomName, TrackId
from tests.support.playbook import MODERATOR, Client, Stage

ROOM = RoomName("room")


def call(**rules: Any) -> tuple[Stage, Client, Client]:
    """A moderator, Mod, and a member, Ada, in one room."""
    stage = Stage(**rules)
    mod, ada = stage.joins("mod", grant=MODERATOR), stage.joins("ada")
    stage.media()
    return stage, mod, ada


# -------------------------------------------------------------------------------------------------------- who may


def test_only_moderators_moderate() -> None:
    stage, mod, ada = call()
    (track,) = mod.publishes(("a0", "microphone"))
    for message in (
        m.MuteTrack(track=track),
        m.Remove(participant=mod.id),
        m.Ban(identity="mod"),
        m.Unban(identity="mod"),
        m.Lock(),
        m.Unlock(),
        m.WaitingRoom(on=True),
        m.SetPermissions(participant=ada.id, admin=True),
        m.Admit(participant=mod.id),
        m.Deny(participant=mod.id),
    ):
        ada.says(message)
        ada.is_refused("permission_denied")
    mod.hears_nothing()
    assert stage.recorded == []


def test_nobody_moderates_another_room() -> None:
    stage, mod, _ = call()
    eve = stage.joins("eve", room="another")
    (track,) = eve.publishes(("a0", "microphone"))
    for message in (
        m.Remove(participant=eve.id),
        m.Ban(participant=eve.id),
        m.SetPermissions(participant=eve.id, chat=False),
        m.Admit(participant=eve.id),
        m.Deny(participant=eve.id),
    ):
        mod.says(message)
        mod.is_refused("unknown_participant")
    mod.says(m.MuteTrack(track=track))
    mod.is_refused("unknown_track")
    eve.hears_nothing()


def test_a_ban_names_somebody() -> None:
    _, mod, _ = call()
    mod.says(m.Ban(request="1"))
    assert mod.is_refused("invalid_message").request == "1"


def test_every_action_is_recorded_with_who_did_what_to_whom() -> None:
    stage, mod, ada = call()
    (track,) = ada.publishes(("a0", "microphone"))
    mod.says(m.MuteTrack(track=track))
    mod.says(m.Lock())
    mod.says(m.Remove(participant=ada.id))
    stage.moderates(lambda conference: moderation.ban(conference, ROOM, Identity("eve"), "admin"))
    assert stage.recorded == [
        Record("mute", "room", "mod", "ada"),
        Record("lock", "room", "mod"),
        Record("remove", "room", "mod", "ada"),
        Record("ban", "room", "admin", "eve"),
    ]


# ----------------------------------------------------------------------------------------------------------- mute


def test_a_moderators_mute_stops_a_track_and_tells_everybody_who_did_it() -> None:
    stage, mod, ada = call()
    bob = stage.joins("bob")
    (track,) = ada.publishes(("a0", "microphone"))
    stage.media()
    mod.says(m.MuteTrack(track=track))
    for client in (mod, ada, bob):
        assert client.hears(m.TrackMuted) == m.TrackMuted(participant=ada.id, track=track, muted=True, by=mod.id)
    assert stage.media() == [SetMuted(stage.peer_of(ada), media.TrackId(track), True)]


def test_only_the_owner_unmutes_what_a_moderator_muted_and_no_offer_does() -> None:
    stage, mod, ada = call()
    ada.publishes(("a0", "microphone"))
    stage.answering = False
    ada.offers(("a0", "microphone"), ("v1", "camera"))  # says: not muted; it is under way while the moderator mutes
    asked = stage.media()
    (track,) = stage.conference.sessions[ParticipantId(ada.id)].published.values()
    mod.says(m.MuteTrack(track=track))
    stage.asked = asked
    stage.answers_all()
    known = stage.conference.rooms.participant(ParticipantId(ada.id)).tracks
    assert known[track].muted
    stage.answering = True
    ada.offers(("a0", "microphone"))
    assert stage.conference.rooms.participant(ParticipantId(ada.id)).tracks[track].muted
    mod.told.clear()
    ada.says(m.Unmute(track=track))
    assert not mod.hears(m.TrackMuted).muted


def test_all_tracks_of_somebody_are_muted_at_once() -> None:
    stage, mod, ada = call()
    tracks = ada.publishes(("a0", "microphone"), ("v1", "camera"))
    stage.moderates(lambda conference: moderation.mute(conference, ROOM, ParticipantId(ada.id), None, "admin"))
    told = [mod.hears(m.TrackMuted) for _ in tracks]
    assert [(one.track, one.muted, one.by) for one in told] == [(track, True, "admin") for track in tracks]


def test_a_mute_names_a_track_of_the_participant() -> None:
    stage, mod, ada = call()
    (track,) = mod.publishes(("a0", "microphone"))
    with pytest.raises(Refused) as refused:
        moderation.mute(stage.conference, ROOM, ParticipantId(ada.id), TrackId(track), "admin")
    assert refused.value.code == "unknown_track"


# --------------------------------------------------------------------------------------------------- remove and ban


def test_who_is_removed_is_told_and_the_others_hear_why() -> None:
    stage, mod, ada = call()
    bob = stage.joins("bob")
    peer = stage.peer_of(ada)
    mod.says(m.Remove(participant=ada.id, reason="Please call the other room."))
    goodbye = ada.is_sent_away("removed", 4003)
    assert (goodbye.resume, goodbye.message) == (False, "Please call the other room.")
    for client in (mod, bob):
        assert client.hears(m.ParticipantLeft) == m.ParticipantLeft(participant=ada.id, reason="removed")
    assert ClosePeer(peer) in stage.media()


def test_a_removal_answers_an_offer_in_flight_first() -> None:
    stage, mod, ada = call()
    stage.answering = False
    ada.offers()
    mod.says(m.Remove(participant=ada.id))
    assert ada.is_refused("peer_closed").request == "offer"
    ada.is_sent_away("removed", 4003)


def test_who_is_removed_comes_back_neither_by_resuming_nor_with_a_token_from_before() -> None:
    stage, mod, ada = call()
    old = stage.token("ada")
    stage.passes(5.0)
    mod.says(m.Remove(participant=ada.id))
    ada.resumes().is_refused("resume_failed")
    back = stage.connects()
    back.says(m.Join(token=old, request="1"))
    assert back.is_refused("removed").request == "1"
    back.is_sent_away("removed", 4003)
    stage.passes(1.0)
    stage.joins("ada")  # with a token that was issued since


def test_a_token_that_does_not_say_when_it_was_issued_counts_as_issued_before_a_removal() -> None:
    stage, mod, ada = call()
    mod.says(m.Remove(participant=ada.id))
    stage.passes(5.0)
    claims = stage.tokens.verify(stage.token("ada"), stage.conference.at.wall)
    undated = type(claims)(claims.room, claims.identity, claims.name, claims.grant, claims.expires)
    assert stage.conference.doors.is_removed(undated, stage.conference.at.wall)
    assert not stage.conference.doors.is_removed(claims, stage.conference.at.wall)


def test_a_removal_holds_in_its_room_only_and_for_that_identity_only() -> None:
    stage, mod, ada = call()
    elsewhere, other = stage.token("ada", "another"), stage.token("bob")
    stage.passes(5.0)
    mod.says(m.Remove(participant=ada.id))
    for token in (elsewhere, other):
        client = stage.connects()
        client.says(m.Join(token=token))
        client.hears(m.Welcome)


def test_somebody_without_a_socket_is_removed_as_well() -> None:
    stage, mod, ada = call()
    ada.vanishes()
    mod.says(m.Remove(participant=ada.id))
    assert mod.hears(m.ParticipantLeft).reason == "removed"
    ada.resumes().is_refused("resume_failed")
    assert not stage.conference.detached


def test_a_banned_identity_stays_out_until_the_ban_is_lifted() -> None:
    stage, mod, ada = call()
    mod.says(m.Ban(participant=ada.id))
    ada.is_sent_away("banned", 4003)
    assert mod.hears(m.ParticipantLeft).reason == "banned"
    stage.passes(5.0)
    back = stage.connects()
    back.says(m.Join(token=stage.token("ada")))
    back.is_refused("banned")
    mod.says(m.Unban(identity="ada"))
    mod.says(m.Unban(identity="ada"))
    mod.is_refused("not_banned")
    stage.joins("ada")


def test_a_ban_outlasts_the_room_and_keeps_out_moderators_too() -> None:
    stage, mod, _ = call()
    mod.says(m.Ban(identity="eve"))
    for client in list(stage.clients.values()):
        client.says(m.Leave())
    assert ROOM not in stage.conference.rooms
    eve = stage.connects()
    eve.says(m.Join(token=stage.token("eve", grant=MODERATOR)))
    eve.is_refused("banned")


# ------------------------------------------------------------------------------------------------------------ lock


def test_a_locked_room_takes_moderators_and_those_who_come_back_and_nobody_else() -> None:
    stage, mod, ada = call()
    mod.says(m.Lock())
    for client in (mod, ada):
        assert client.hears(m.RoomUpdated) == m.RoomUpdated(locked=True, waiting_room=False)
    bob = stage.connects()
    bob.says(m.Join(token=stage.token("bob")))
    bob.is_refused("room_locked")
    bob.is_sent_away("room_locked", 1013)
    ada.vanishes()
    back = ada.resumes()
    assert back.hears(m.Welcome).room.locked
    again = stage.connects()  # reloads the page while the session is there
    again.says(m.Join(token=stage.token("ada")))
    again.hears(m.Welcome)
    stage.joins("boss", grant=MODERATOR)
    mod.says(m.Unlock())
    stage.joins("bob")


def test_a_lock_ends_with_the_room_and_not_when_its_last_member_reloads() -> None:
    stage = Stage()
    mod = stage.joins("mod", grant=MODERATOR)
    mod.says(m.Lock())
    mod = stage.joins("mod", grant=MODERATOR)
    assert stage.conference.doors.rules(ROOM).locked
    mod.says(m.Leave())
    assert not stage.conference.doors.rules(ROOM).locked
    with pytest.raises(Refused) as refused:
        moderation.lock(stage.conference, ROOM, "admin")
    assert refused.value.code == "unknown_room"


# ------------------------------------------------------------------------------------------------------ permissions


def test_a_permission_that_is_taken_ends_what_is_published_and_received_by_it() -> None:
    stage, mod, ada = call()
    (theirs,) = mod.publishes(("a0", "microphone"))
    microphone, camera = ada.publishes(("a0", "microphone"), ("v1", "camera"))
    stage.media()
    mod.says(m.SetPermissions(participant=ada.id, publish=["microphone"], subscribe=False))
    told = ada.hears(m.PermissionsChanged)
    assert told.permissions == m.Permissions(publish=["microphone"], subscribe=False, chat=True, admin=False)
    assert told.by == mod.id
    assert mod.hears(m.TrackUnpublished).track == camera
    assert stage.media() == [
        SetMuted(stage.peer_of(ada), media.TrackId(camera), True),
        Unsubscribe(stage.peer_of(mod), (media.TrackId(camera),)),
        Unsubscribe(stage.peer_of(ada), (media.TrackId(theirs),)),
    ]
    ada.offers(("a0", "microphone"), ("v1", "camera"))
    answer = ada.hears(m.SdpAnswer)
    assert [track.track for track in answer.tracks] == [microphone]
    assert [(track.mid, track.code) for track in answer.rejected] == [("v1", "permission_denied")]
    ada.says(m.Subscribe(tracks=[theirs]))
    ada.is_refused("permission_denied")


def test_a_permission_that_is_taken_while_an_offer_is_under_way_holds_for_it() -> None:
    stage, mod, ada = call()
    stage.answering = False
    ada.offers(("v1", "camera"))
    asked = stage.media()
    mod.says(m.SetPermissions(participant=ada.id, publish=[]))
    ada.hears(m.PermissionsChanged)
    stage.asked = asked
    stage.answers_all()
    answer = ada.hears(m.SdpAnswer)
    assert (answer.tracks, answer.rejected[0].code) == ([], "permission_denied")
    assert isinstance(stage.media()[-1], SetMuted)
    mod.hears_nothing()


def test_who_may_receive_again_gets_all_that_is_there() -> None:
    stage, mod, ada = call()
    (track,) = mod.publishes(("a0", "microphone"))
    mod.says(m.SetPermissions(participant=ada.id, subscribe=False))
    stage.media()
    mod.says(m.SetPermissions(participant=ada.id, subscribe=True))
    assert stage.media() == [Subscribe(stage.peer_of(ada), (media.TrackId(track),))]


def test_who_may_not_chat_any_more_is_refused() -> None:
    _, mod, ada = call()
    mod.says(m.SetPermissions(participant=ada.id, chat=False))
    ada.hears(m.PermissionsChanged)
    ada.says(m.Chat(text="hello"))
    ada.is_refused("permission_denied")


def test_a_member_is_made_a_moderator_and_is_one_no_more() -> None:
    stage, mod, ada = call()
    bob = stage.joins("bob")
    mod.says(m.SetPermissions(participant=ada.id, admin=True))
    assert ada.hears(m.PermissionsChanged).permissions.admin
    ada.says(m.Remove(participant=bob.id))
    bob.is_sent_away("removed", 4003)
    ada.told.clear()
    mod.says(m.SetPermissions(participant=ada.id, admin=False))
    ada.hears(m.PermissionsChanged)
    ada.says(m.Remove(participant=mod.id))
    ada.is_refused("permission_denied")


def test_a_changed_role_outlasts_a_reload_with_the_same_token_and_not_a_newer_token() -> None:
    stage, mod, ada = call()
    old = stage.token("ada")
    stage.passes(5.0)
    mod.says(m.SetPermissions(participant=ada.id, chat=False))
    again = stage.connects()
    again.says(m.Join(token=old))
    assert not again.hears(m.Welcome).permissions.chat
    stage.passes(5.0)
    newer = stage.connects()
    newer.says(m.Join(token=stage.token("ada")))
    assert newer.hears(m.Welcome).permissions.chat


def test_permissions_of_somebody_without_a_socket_are_there_on_its_return() -> None:
    _, mod, ada = call()
    (track,) = ada.publishes(("a0", "microphone"))
    ada.vanishes()
    mod.says(m.SetPermissions(participant=ada.id, publish=[]))
    assert mod.hears(m.TrackUnpublished).track == track
    welcome = ada.resumes().hears(m.Welcome)
    assert (welcome.permissions.publish, welcome.room.participants[1].tracks) == ([], [])


def test_metadata_is_not_changed_without_end() -> None:
    stage, mod, ada = call()
    for number in range(10):
        mod.says(m.SetMetadata(metadata={"count": str(number)}))
    ada.told.clear()
    mod.told.clear()
    mod.says(m.SetMetadata(metadata={"count": "one more"}))
    mod.is_refused("rate_limited")
    assert not ada.told
    stage.passes(1.0)
    mod.says(m.SetMetadata(metadata={"count": "later"}))
    assert ada.hears(m.RoomUpdated).metadata == {"count": "later"}
