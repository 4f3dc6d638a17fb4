"""The rooms an instance owns, against a plain model of them."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import booleans, sampled_from

from state.memory import OwnRooms
from state.model import Identity, Participant, ParticipantId, RoomName, Track, TrackId

ROOM, OTHER = RoomName("room"), RoomName("other")
ADA = Participant(ParticipantId("p1"), Identity("ada"), "Ada")
BOB = Participant(ParticipantId("p2"), Identity("bob"), "Bob")
CAMERA = Track(TrackId("t1"), "video", "camera")


def test_a_room_is_there_while_somebody_is_in_it() -> None:
    rooms = OwnRooms()
    rooms.enter(ROOM, ADA)
    assert (len(rooms), ROOM in rooms, rooms.size(ROOM)) == (1, True, 1)
    assert rooms.leave(ADA.id) == ADA
    assert (len(rooms), ROOM in rooms, rooms.size(ROOM)) == (0, False, 0)


def test_members_are_listed_in_the_order_in_which_they_came() -> None:
    rooms = OwnRooms()
    rooms.enter(ROOM, BOB)
    rooms.enter(ROOM, ADA)
    assert rooms.room(ROOM).participants == (BOB, ADA)


def test_a_track_is_found_in_its_own_room_only() -> None:
    rooms = OwnRooms()
    rooms.enter(ROOM, ADA)
    rooms.publish(ADA.id, CAMERA)
    assert rooms.track_in(ROOM, CAMERA.id) == CAMERA
    assert rooms.track_in(OTHER, CAMERA.id) is None
    assert rooms.owner_of(CAMERA.id) == ADA.id


def test_a_track_leaves_with_its_owner() -> None:
    rooms = OwnRooms()
    rooms.enter(ROOM, ADA)
    rooms.publish(ADA.id, CAMERA)
    assert rooms.leave(ADA.id).tracks == {CAMERA.id: CAMERA}
    assert rooms.owner_of(CAMERA.id) is None


def test_muting_tells_whether_it_was_new() -> None:
    rooms = OwnRooms()
    rooms.enter(ROOM, ADA)
    rooms.publish(ADA.id, CAMERA)
    assert [rooms.set_muted(CAMERA.id, True), rooms.set_muted(CAMERA.id, True)] == [True, False]
    assert rooms.participant(ADA.id).tracks[CAMERA.id].muted


def test_a_newer_session_keeps_its_identity_when_the_older_one_leaves() -> None:
    rooms = OwnRooms()
    newer = Participant(ParticipantId("p9"), ADA.identity, "Ada")
    rooms.enter(ROOM, ADA)
    rooms.enter(ROOM, newer)
    rooms.leave(ADA.id)
    assert rooms.by_identity(ROOM, ADA.identity) == newer.id


def test_who_is_unknown_is_a_key_error() -> None:
    rooms = OwnRooms()
    for verb in (rooms.participant, rooms.leave):
        with pytest.raises(KeyError):
            verb(ParticipantId("nobody"))


class AnyOrderOfThings(RuleBasedStateMachine):
    """Whatever happens, the look-ups agree with the rooms."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms = OwnRooms()
        self.inside: dict[ParticipantId, RoomName] = {}
        self.tracks: dict[TrackId, ParticipantId] = {}

    @rule(number=sampled_from(range(4)), room=sampled_from([ROOM, OTHER]))
    def enter(self, number: int, room: RoomName) -> None:
        id = ParticipantId(f"p{number}")
        if id not in self.inside:
            self.rooms.enter(room, Participant(id, Identity(f"i{number}"), "name"))
            self.inside[id] = room

    @rule(number=sampled_from(range(4)))
    def leave(self, number: int) -> None:
        id = ParticipantId(f"p{number}")
        if self.inside.pop(id, None):
            self.rooms.leave(id)
            self.tracks = {track: owner for track, owner in self.tracks.items() if owner != id}

    @rule(number=sampled_from(range(4)), track=sampled_from(["a", "b"]), muted=booleans())
    def publish(self, number: int, track: str, muted: bool) -> None:
        owner = ParticipantId(f"p{number}")
        if owner in self.inside:
            id = TrackId(f"{owner}{track}")
            self.rooms.publish(owner, Track(id, "audio", "microphone", muted))
            self.tracks[id] = owner

    @rule(number=sampled_from(range(4)), track=sampled_from(["a", "b"]))
    def unpublish(self, number: int, track: str) -> None:
        id = TrackId(f"p{number}{track}")
        if id in self.tracks:
            self.rooms.unpublish(self.tracks.pop(id), id)

    @invariant()
    def the_look_ups_agree(self) -> None:
        seen = {member.id: room for room in (ROOM, OTHER) for member in self.rooms.room(room).participants}
        assert seen == self.inside
        assert len(self.rooms) == len(set(self.inside.values()))
        for id, room in self.inside.items():
            member = self.rooms.participant(id)
            assert self.rooms.by_identity(room, member.identity) == id
            assert {track for track, owner in self.tracks.items() if owner == id} == set(member.tracks)
        for track, owner in self.tracks.items():
            assert self.rooms.owner_of(track) == owner


AnyOrderOfThings.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestAnyOrderOfThings = AnyOrderOfThings.TestCase
