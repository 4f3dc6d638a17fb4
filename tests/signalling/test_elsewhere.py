"""What members of a room hear of its people at other instances, and what moderators do to those."""

from __future__ import annotations

from typing import TypeVar

import pytest

from signalling import control, moderation
from signalling import messages as m
from signalling.commands import CloseCode, Logged
from signalling.events import Instant, NewsHeard
from signalling.tokens import Grant
from state.model import Identity, RoomName
from state.news import JunkFound
from tests.support.neighbours import Instance, Neighbours
from tests.support.playbook import MODERATOR, Client

ROOM = RoomName("room")
M = TypeVar("M", bound=m.Message)


def stays(instance: Instance, identity: str, grant: Grant | None = None) -> Client:
    """Somebody who says that it cannot get to where the room is at home."""
    client = instance.connects()
    token = instance.token(identity) if grant is None else instance.token(identity, grant=grant)
    client.says(m.Join(token=token, stay=True))
    client.is_welcomed(client.hears(m.Welcome))
    return client


def told(client: Client, kind: type[M]) -> list[M]:
    """All of one kind that it was told; it forgets everything."""
    found = [message for message in client.told if isinstance(message, kind)]
    client.told.clear()
    return found


def apart() -> tuple[Neighbours, Client, Client]:
    """Ada at one instance and Bob at another, in the same room, who have heard of each other."""
    neighbours = Neighbours("a", "b")
    ada, bob = stays(neighbours["a"], "ada", MODERATOR), stays(neighbours["b"], "bob", MODERATOR)
    neighbours.passes(0.3)
    for client in (ada, bob):
        client.told.clear()
    return neighbours, ada, bob


def test_people_at_other_instances_are_told_as_such() -> None:
    neighbours = Neighbours("a", "b")
    ada = stays(neighbours["a"], "ada")
    neighbours.passes(0.3)
    bob = stays(neighbours["b"], "bob")
    neighbours.passes(0.3)
    (joined,) = told(ada, m.ParticipantJoined)
    assert (joined.participant.id, joined.participant.presence) == (bob.id, "elsewhere")
    (heard,) = told(bob, m.ParticipantJoined)
    assert (heard.participant.identity, heard.participant.presence) == ("ada", "elsewhere")
    # Who comes now is told of both in one snapshot.
    cleo = neighbours["a"].connects()
    cleo.says(m.Join(token=neighbours["a"].token("cleo"), stay=True))
    room = cleo.hears(m.Welcome).room
    assert {one.identity: one.presence for one in room.participants} == {
        "ada": "here",
        "cleo": "here",
        "bob": "elsewhere",
    }


def test_tracks_and_mutes_at_other_instances_are_told_and_cannot_be_received_here() -> None:
    neighbours, ada, bob = apart()
    (track,) = bob.publishes(("v1", "camera"))
    neighbours.passes(0.3)
    (published,) = told(ada, m.TrackPublished)
    assert (published.participant, published.track.id) == (bob.id, track)
    bob.says(m.Mute(track=track))
    neighbours.passes(0.3)
    assert [one.muted for one in told(ada, m.TrackMuted)] == [True]
    ada.says(m.Subscribe(tracks=[track]))
    ada.is_refused("elsewhere")
    bob.says(m.Leave())
    neighbours.passes(0.3)
    (left,) = told(ada, m.ParticipantLeft)
    assert left.participant == bob.id


def test_chat_reaches_the_room_at_every_instance_and_one_person_at_another() -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Chat(text="hello"))
    ada.says(m.Chat(text="psst", to=bob.id))
    neighbours.passes(0.3)
    assert [(said.text, said.to) for said in told(bob, m.ChatMessage)] == [("hello", m.UNSET), ("psst", bob.id)]
    assert len(told(ada, m.ChatMessage)) == 2


def test_what_is_said_to_one_whose_instance_cannot_be_reached_is_refused_and_the_room_hears_what_it_can() -> None:
    neighbours, ada, bob = apart()
    cleo = stays(neighbours["a"], "cleo")
    neighbours.away = True
    neighbours.passes(10.0)
    for client in (ada, bob, cleo):
        client.told.clear()
    ada.says(m.Chat(text="psst", to=bob.id, request="1"))
    error = ada.is_refused("elsewhere_unreachable")
    assert (error.request, error.field, error.retry_after) == ("1", "to", 5.0)
    ada.says(m.Chat(text="hello", request="2"))
    assert ada.hears(m.ChatMessage).request == "2"
    assert cleo.hears(m.ChatMessage).text == "hello"
    ada.vanishes()
    back = neighbours["a"].connects()
    back.says(m.Resume(resume_token=ada.resume_token))
    assert [said.text for said in back.hears(m.Welcome).chat] == ["hello"]  # and not what was refused
    neighbours.away = False
    neighbours.passes(8.0)
    assert not told(bob, m.ChatMessage)


@pytest.mark.parametrize("widest", ["\U0001f600", '"', "\x01"])
def test_the_longest_that_may_be_said_and_written_reaches_other_instances(widest: str) -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Chat(text=widest * m.MAX_CHAT_CHARACTERS))
    ada.says(m.SetMetadata(metadata={str(n): widest * 1024 for n in range(m.MAX_METADATA_FIELDS)}))
    neighbours.passes(0.5)
    assert [len(one.text) for one in bob.told if isinstance(one, m.ChatMessage)] == [m.MAX_CHAT_CHARACTERS]
    (update,) = [one for one in bob.told if isinstance(one, m.RoomUpdated)]
    assert set(update.metadata.values()) == {widest * 1024}
    assert not neighbours["b"].sharing.counts["unreadable"]


def test_what_no_instance_can_have_written_is_ignored_and_told_in_the_log() -> None:
    neighbours, _, _ = apart()
    b = neighbours["b"]
    news = NewsHeard(JunkFound("a note: it is too large", 3))
    (line,) = control.handle(b.conference, news, Instant(b.now, b.now))
    assert isinstance(line, Logged)
    assert (line.level, "ignored 3, the last: a note: it is too large" in line.text) == ("warning", True)


def test_a_join_is_sent_to_the_home_of_its_room() -> None:
    neighbours = Neighbours("a", "b")
    home, other = sorted(neighbours.instances.values(), key=_is_home, reverse=True)
    assert (_is_home(home), _is_home(other)) == (True, False)  # they agree before anybody is there
    bob = other.connects()
    bob.says(m.Join(token=other.token("bob"), request="1"))
    assert bob.hears(m.Redirect) == m.Redirect(url=home.url, request="1")
    bob.is_sent_away("redirected", 1000)
    # Where more are, is home, whatever the hash says: an instance that hears of it sends its newcomer on at once.
    for name in ("eve", "ewa"):
        stays(other, name)
    neighbours.passes(0.3)
    ada = home.joins("ada")
    neighbours.passes(0.1)
    (asked,) = told(ada, m.Migrate)
    assert (asked.url, asked.reason) == (other.url, "room_moved")


def _is_home(instance: Instance) -> bool:
    return instance.conference.cluster.home(ROOM) is None


def test_what_moderators_set_holds_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Lock())
    ada.says(m.SetMetadata(metadata={"title": "Tea"}))
    neighbours.passes(0.3)
    updates = told(bob, m.RoomUpdated)
    assert (updates[-1].locked, updates[-1].metadata) == (True, {"title": "Tea"})
    bob.says(m.Unlock())
    bob.says(m.SetMetadata(metadata={"title": None}))
    neighbours.passes(0.3)
    update = told(ada, m.RoomUpdated)[-1]
    assert (update.locked, update.metadata) == (False, {})


def test_a_ban_sends_out_and_keeps_out_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    ada.says(m.Ban(participant=bob.id))
    neighbours.passes(0.3)
    assert (bob.told[-1].code, bob.closed) == ("banned", 4003)  # type: ignore[attr-defined]
    back = neighbours["b"].connects()
    back.says(m.Join(token=neighbours["b"].token("bob"), stay=True))
    back.is_refused("banned")
    ada.says(m.Unban(identity="bob"))
    neighbours.passes(0.3)
    stays(neighbours["b"], "bob")


def test_a_moderator_mutes_removes_and_changes_permissions_of_people_at_other_instances() -> None:
    neighbours, ada, bob = apart()
    (track,) = bob.publishes(("0", "microphone"))
    neighbours.passes(0.3)
    ada.told.clear()
    ada.says(m.MuteTrack(track=track, request="1"))
    assert ada.hears(m.Done).request == "1"
    neighbours.passes(0.3)
    (muted,) = told(bob, m.TrackMuted)
    assert (muted.track, muted.muted, muted.by) == (track, True, "ada")
    ada.says(m.SetPermissions(participant=bob.id, publish=[], chat=False))
    neighbours.passes(0.3)
    (changed,) = told(bob, m.PermissionsChanged)
    assert (changed.permissions.publish, changed.permissions.chat) == ([], False)
    ada.says(m.Remove(participant=bob.id, reason="Enough."))
    neighbours.passes(0.3)
    assert (bob.told[-1].code, bob.told[-1].message) == ("removed", "Enough.")  # type: ignore[attr-defined]


def test_nobody_who_is_unknown_everywhere_is_moderated() -> None:
    _, ada, _ = apart()
    ada.says(m.Remove(participant="p_nobody"))
    ada.is_refused("unknown_participant")


def test_an_operator_ends_a_room_at_every_instance() -> None:
    neighbours, ada, bob = apart()
    neighbours["a"].moderates(lambda conference: moderation.end_room(conference, ROOM, "admin"))
    neighbours.passes(0.5)
    assert [one.closed for one in (ada, bob)] == [4003, 4003]
    # The end is of that room as it was: who comes back opens it anew.
    stays(neighbours["b"], "bob")
    neighbours.passes(0.5)
    assert neighbours["b"].conference.rooms.size(ROOM) == 1


def test_of_two_sessions_of_one_identity_the_newer_stays() -> None:
    neighbours, ada, _ = apart()
    again = stays(neighbours["b"], "ada")
    neighbours.passes(0.3)
    assert (ada.told[-1].code, ada.closed) == ("replaced", 4001)  # type: ignore[attr-defined]
    assert again.closed is None
    assert neighbours["a"].conference.rooms.by_identity(ROOM, Identity("ada")) is None


def test_while_the_store_is_away_nothing_is_told_but_that_it_is_and_afterwards_one_snapshot() -> None:
    neighbours, ada, bob = apart()
    neighbours.away = True
    neighbours.passes(10.0)
    (notice,) = told(ada, m.Degraded)
    assert (notice.degradation.dependency, notice.degradation.mode) == ("redis", "standalone")
    assert told(bob, m.Degraded)
    cleo = neighbours["b"].joins("cleo") if _is_home(neighbours["b"]) else stays(neighbours["b"], "cleo")
    assert neighbours["b"].conference.degraded["redis"].mode == "standalone"
    bob.says(m.Lock())
    bob.says(m.Leave())
    neighbours.passes(20.0)
    ada.hears_nothing()
    neighbours.away = False
    neighbours.passes(8.0)
    ada.told = [message for message in ada.told if not isinstance(message, m.Migrate)]
    updates = [message for message in ada.told if isinstance(message, m.RoomUpdated)]
    kinds = [type(message) for message in ada.told if message not in updates]
    assert kinds == [m.RoomReplaced, m.Recovered]
    room = next(message.room for message in ada.told if isinstance(message, m.RoomReplaced))
    assert {one.id: one.presence for one in room.participants} == {ada.id: "here", cleo.id: "elsewhere"}
    assert room.locked


def test_who_joins_during_an_outage_is_told_of_it_in_the_welcome() -> None:
    neighbours = Neighbours("a")
    neighbours.away = True
    neighbours.passes(5.0)
    client = neighbours["a"].connects()
    client.says(m.Join(token=neighbours["a"].token("ada")))
    (degradation,) = client.hears(m.Welcome).degraded
    assert degradation.mode == "standalone"
    assert "Your call goes on" in degradation.message


def test_the_newer_session_is_known_as_such_where_nobody_had_heard_of_the_older_one() -> None:
    neighbours = Neighbours("a", "b")
    for name in ("eve", "ewa", "ada"):
        stays(neighbours["a"], name)
    neighbours.passes(1.0)
    again = stays(neighbours["b"], "ada")  # a room that b knows nothing of yet
    neighbours.passes(1.0)
    assert again.closed is None
    assert neighbours["a"].conference.rooms.by_identity(ROOM, Identity("ada")) is None


@pytest.mark.parametrize("shut", [m.Lock(), m.WaitingRoom(on=True)])
def test_nobody_gets_past_a_door_by_way_of_an_instance_that_did_not_know_of_it(shut: m.Request) -> None:
    neighbours = Neighbours("a", "b")
    a, b = neighbours["a"], neighbours["b"]
    ada = stays(a, "ada", MODERATOR)
    neighbours.passes(3.0)
    ada.says(shut)
    neighbours.passes(0.3)
    ada.told.clear()
    eve = stays(b, "eve")
    members = b.conference.rooms.take_changed()
    b.conference.cluster.share(members, {ROOM: b.conference.doors.of(ROOM)}, b.now)
    for pending in b.sharing.take_requests(b.now):  # b says that eve is there, and has not heard of the door yet
        b.sharing.answered(pending.id, neighbours.store.execute(pending.request, b.now), b.now)
    ada.says(m.SetMetadata(metadata={"title": "Tea"}))
    a.shares()
    ada.told.clear()
    assert a.conference.cluster.by_identity(ROOM, Identity("eve")) is not None
    again = a.connects()
    again.says(m.Join(token=a.token("eve"), stay=True))
    assert not told(again, m.Welcome)
    neighbours.passes(0.3)
    assert (eve.told[-1].code, eve.closed) == ("room_locked", 1013)  # type: ignore[attr-defined]
    assert not [one for one in told(eve, m.ParticipantJoined) if one.participant.identity == "ada"]
    # Moderators and those who are in the room may come by any way, and who was let in is not sent out.
    eva = stays(b, "eva", MODERATOR)
    ada_again = stays(b, "ada")
    neighbours.passes(0.3)
    assert (eva.closed, ada_again.closed) == (None, None)


def test_a_door_that_is_shut_after_people_came_sends_none_of_them_out_however_new_they_are() -> None:
    neighbours = Neighbours("a", "b")
    ada = stays(neighbours["a"], "ada", MODERATOR)
    neighbours.passes(3.0)
    bob = stays(neighbours["b"], "bob")  # the first one there
    neighbours.passes(0.2)
    eve = stays(neighbours["b"], "eve")
    ada.says(m.Lock())
    neighbours.passes(0.3)
    assert [told(one, m.RoomUpdated)[-1].locked for one in (bob, eve)] == [True, True]
    assert [one.closed for one in (bob, eve)] == [None, None]


def test_whoever_comes_before_the_first_one_could_know_of_a_lock_is_sent_out_as_well() -> None:
    neighbours = Neighbours("a", "b")
    ada = stays(neighbours["a"], "ada", MODERATOR)
    neighbours.passes(3.0)
    ada.says(m.Lock())
    neighbours.passes(0.3)
    first, second = (stays(neighbours["b"], name) for name in ("eve", "ewa"))
    neighbours.passes(0.3)
    assert [one.closed for one in (first, second)] == [CloseCode.TRY_LATER, CloseCode.TRY_LATER]
    # And again: that they were there once does not count as having heard what holds.
    third = stays(neighbours["b"], "eva")
    neighbours.passes(0.3)
    assert third.closed == CloseCode.TRY_LATER


def test_a_door_that_is_shut_elsewhere_sends_nobody_out_who_is_in() -> None:
    neighbours = Neighbours("a", "b")
    ada, bob = stays(neighbours["a"], "ada", MODERATOR), stays(neighbours["b"], "bob")
    neighbours.passes(3.0)
    eve = stays(neighbours["b"], "eve")
    ada.says(m.Lock())
    neighbours.passes(0.5)
    assert [told(one, m.RoomUpdated)[-1].locked for one in (bob, eve)] == [True, True]
    assert [one.closed for one in (bob, eve)] == [None, None]
    # And being in at one instance opens the door of another.
    again = neighbours["a"].connects()
    again.says(m.Join(token=neighbours["a"].token("bob"), stay=True))
    again.hears(m.Welcome)
