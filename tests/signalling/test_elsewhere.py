"""What members of a room hear of its people at other instances, and what moderators do to those."""

from __future__ import annotations

from typing import TypeVar

import pytest

from signalling import messages as m
from signalling.tokens import Grant
from state.model import ParticipantId, RoomName
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


def test_nor_is_anything_said_to_one_whose_instance_is_not_heard() -> None:
    neighbours, ada, bob = apart()
    neighbours.instances.pop("b")
    while not (known := neighbours["a"].conference.cluster.find(ROOM, ParticipantId(bob.id))) or not known.unknown:
        neighbours.passes(0.5)
    for request in (m.Chat(text="psst", to=bob.id), m.Remove(participant=bob.id)):
        ada.told.clear()
        ada.says(request)
        ada.is_refused("elsewhere_unreachable")


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


def test_a_join_is_sent_to_the_home_of_its_room() -> None:
    neighbours = Neighbours("a", "b")
    home, other = sorted(neighbours.instances.values(), key=is_home, reverse=True)
    assert (is_home(home), is_home(other)) == (True, False)  # they agree before anybody is there
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


def is_home(instance: Instance) -> bool:
    """Whether the room is at home there."""
    return instance.conference.cluster.home(ROOM) is None


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


def test_who_joins_during_an_outage_is_told_of_it_in_the_welcome() -> None:
    neighbours = Neighbours("a")
    neighbours.away = True
    neighbours.passes(5.0)
    client = neighbours["a"].connects()
    client.says(m.Join(token=neighbours["a"].token("ada")))
    (degradation,) = client.hears(m.Welcome).degraded
    assert degradation.mode == "standalone"
    assert "Your call goes on" in degradation.message
