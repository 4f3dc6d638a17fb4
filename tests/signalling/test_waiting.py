"""The waiting room: seen by moderators, blind to the room, bounded in number and in time."""

from __future__ import annotations

from typing import Any

from signalling import messages as m
from signalling import moderation
from signalling.commands import ClosePeer
from signalling.session import Standing
from state.model import ParticipantId, RoomName
from tests.support.playbook import MODERATOR, Client, Stage

RELAY = m.IceServer(urls=["turn:t.example"], username="1:p", credential="c")


def waits(stage: Stage, identity: str, room: str = "room", *, relay_only: bool = False) -> Client:
    """A client whose token lets it in only by a moderator."""
    client = stage.connects()
    client.says(m.Join(token=stage.token(identity, room, wait=True), request="join", relay_only=relay_only))
    told = client.hears(m.Waiting)
    assert (told.room, told.request) == (room, "join")
    client.id = told.participant
    return client


def call(**rules: Any) -> tuple[Stage, Client, Client]:
    """A moderator in a room, and Ada, who waits for it."""
    stage = Stage(**rules)
    mod = stage.joins("mod", grant=MODERATOR)
    return stage, mod, waits(stage, "ada")


def test_who_waits_is_announced_to_moderators_only_and_hears_nothing_of_the_room() -> None:
    stage = Stage()
    mod, bob = stage.joins("mod", grant=MODERATOR), stage.joins("bob")
    ada = waits(stage, "ada")
    assert mod.hears(m.ParticipantWaiting) == m.ParticipantWaiting(participant=ada.id, identity="ada", name="ada")
    bob.hears_nothing()
    bob.says(m.Chat(text="hello"))
    bob.offers(("a0", "microphone"))
    ada.hears_nothing()
    assert ParticipantId(ada.id) not in stage.conference.sessions


def test_who_is_admitted_is_welcomed_under_the_same_id_and_the_room_hears_of_it() -> None:
    stage, mod, ada = call()
    bob = stage.joins("bob")
    mod.told.clear()
    mod.says(m.Admit(participant=ada.id, request="1"))
    welcome = ada.hears(m.Welcome)
    assert (welcome.participant, welcome.request) == (ada.id, m.UNSET)
    assert bob.hears(m.ParticipantJoined).participant.identity == "ada"
    assert mod.hears(m.WaitingEnded) == m.WaitingEnded(participant=ada.id, reason="admitted")
    mod.hears(m.ParticipantJoined)
    mod.hears(m.Done)
    ada.says(m.Chat(text="I am in"))
    assert bob.hears(m.ChatMessage).text == "I am in"


def test_who_is_denied_is_sent_away() -> None:
    stage, mod, ada = call()
    mod.told.clear()
    mod.says(m.Deny(participant=ada.id))
    assert not ada.is_sent_away("denied", 4003).resume
    assert mod.hears(m.WaitingEnded).reason == "denied"
    mod.says(m.Deny(participant=ada.id))
    mod.is_refused("unknown_participant")
    assert not stage.conference.waiting


def test_one_may_only_ping_and_leave_while_waiting() -> None:
    _, mod, ada = call()
    mod.told.clear()
    ada.says(m.Chat(text="let me in"))
    ada.is_refused("not_joined")
    ada.says(m.Ping(request="1"))
    assert ada.hears(m.Pong).request == "1"
    ada.says(m.Leave(request="2"))
    assert ada.is_sent_away("left", 1000).request == "2"
    assert mod.hears(m.WaitingEnded).reason == "left"


def test_a_waiter_whose_socket_drops_is_forgotten() -> None:
    stage, mod, ada = call()
    mod.told.clear()
    ada.vanishes()
    assert mod.hears(m.WaitingEnded).reason == "left"
    assert not stage.conference.waiting
    mod.says(m.Admit(participant=ada.id))
    mod.is_refused("unknown_participant")


def test_nobody_waits_for_ever() -> None:
    stage, mod, ada = call(waiting_timeout=300.0)
    mod.told.clear()
    stage.passes(299.0)
    ada.hears_nothing()
    stage.passes(2.0)
    ada.is_sent_away("waiting_timeout", 1013)
    assert mod.hears(m.WaitingEnded).reason == "timeout"


def test_a_waiting_room_holds_so_many_and_a_server_so_many() -> None:
    stage = Stage(max_waiting_per_room=2, max_waiting=3)
    for identity, room in (("a", "one"), ("b", "one"), ("a", "two")):
        waits(stage, identity, room)
    for room in ("one", "two"):
        late = stage.connects()
        late.says(m.Join(token=stage.token("late", room, wait=True)))
        late.is_refused("waiting_room_full")
        late.is_sent_away("waiting_room_full", 1013)


def test_the_same_identity_waits_once() -> None:
    stage, _, ada = call()
    again = waits(stage, "ada")
    ada.is_sent_away("replaced", 4001)
    assert list(stage.conference.waiting) == [again.id]


def test_a_moderator_who_comes_later_or_is_made_one_hears_who_waits() -> None:
    stage = Stage()
    ada = waits(stage, "ada")
    mod = stage.connects()
    mod.says(m.Join(token=stage.token("mod", grant=MODERATOR)))
    mod.is_welcomed(mod.hears(m.Welcome))
    assert mod.hears(m.ParticipantWaiting).participant == ada.id
    bob = stage.joins("bob")
    mod.says(m.SetPermissions(participant=bob.id, admin=True))
    bob.hears(m.PermissionsChanged)
    assert bob.hears(m.ParticipantWaiting).participant == ada.id
    mod.vanishes()
    back = mod.resumes()
    back.hears(m.Welcome)
    assert back.hears(m.ParticipantWaiting).participant == ada.id


def test_a_moderator_has_everybody_new_wait_but_moderators_and_who_was_let_in() -> None:
    stage = Stage()
    mod, bob = stage.joins("mod", grant=MODERATOR), stage.joins("bob")
    mod.says(m.WaitingRoom(on=True))
    assert bob.hears(m.RoomUpdated) == m.RoomUpdated(locked=False, waiting_room=True)
    ada = stage.connects()
    ada.says(m.Join(token=stage.token("ada")))
    ada.hears(m.Waiting)
    stage.joins("boss", grant=MODERATOR)
    stage.joins("bob")  # reloads the page
    mod.says(m.WaitingRoom(on=False))
    stage.joins("eve")


def test_a_locked_room_takes_nobody_new_into_its_waiting_room_but_who_waits_may_be_admitted() -> None:
    stage, mod, ada = call()
    mod.says(m.Lock())
    late = stage.connects()
    late.says(m.Join(token=stage.token("late", wait=True)))
    late.is_refused("room_locked")
    mod.says(m.Admit(participant=ada.id))
    ada.hears(m.Welcome)


def test_who_waits_is_admitted_only_while_there_is_space() -> None:
    stage, mod, ada = call(max_participants_per_room=1)
    mod.told.clear()
    mod.says(m.Admit(participant=ada.id))
    mod.is_refused("room_full")
    assert ParticipantId(ada.id) in stage.conference.waiting


def test_who_connects_by_relay_only_is_admitted_only_while_there_is_one() -> None:
    stage = Stage()
    stage.conference.ice_servers = lambda who, wall: list(servers)
    servers = [RELAY]
    mod, ada = stage.joins("mod", grant=MODERATOR), waits(stage, "ada", relay_only=True)
    bob = waits(stage, "bob")
    mod.told.clear()
    servers.clear()
    mod.says(m.Admit(participant=ada.id))
    assert mod.is_refused("turn_unavailable").retry_after
    assert not mod.closed
    assert ada.hears(m.Notice).code == "turn_unavailable"
    ada.hears_nothing()
    mod.says(m.Admit(participant=bob.id))
    bob.hears(m.Welcome)
    servers.append(RELAY)
    mod.says(m.Admit(participant=ada.id))
    assert ada.hears(m.Welcome).ice_servers == [RELAY]


def test_a_banned_identity_waits_no_longer() -> None:
    _, mod, ada = call()
    mod.told.clear()
    mod.says(m.Ban(participant=ada.id))
    ada.is_sent_away("banned", 4003)
    assert mod.hears(m.WaitingEnded).reason == "banned"


def test_the_operator_admits_into_a_room_where_nobody_is_yet() -> None:
    stage = Stage()
    ada = waits(stage, "ada")
    stage.moderates(lambda conference: moderation.admit(conference, RoomName("room"), ParticipantId(ada.id), "admin"))
    assert ada.hears(m.Welcome).participant == ada.id


def test_the_end_of_the_server_sends_away_who_waits() -> None:
    stage, _, ada = call()
    stage.ends()
    assert ada.is_sent_away("shutting_down", 1012).resume
    ada.vanishes()
    assert not stage.conference.waiting


def test_nonsense_from_somebody_who_waits_ends_the_waiting() -> None:
    stage, _, ada = call(max_bad_messages=2)
    for _ in range(3):
        ada.babbles()
    assert ada.closed == 1008
    assert not stage.conference.waiting
    assert stage.conference.sockets[ada.socket].standing is Standing.DISMISSED


def test_an_admitted_participant_leaves_like_everybody() -> None:
    stage, mod, ada = call()
    mod.says(m.Admit(participant=ada.id))
    peer = stage.peer_of(ada)
    ada.told.clear()
    ada.says(m.Leave())
    ada.is_sent_away("left", 1000)
    assert ClosePeer(peer) in stage.media()
