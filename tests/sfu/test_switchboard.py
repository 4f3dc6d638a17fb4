"""Wishes become tracks in slots, and who leaves takes along what was his."""

from __future__ import annotations

from sfu.codecs import OPUS, VP8, CodecKey
from sfu.media_plane import MediaEvent, NegotiationNeeded, PeerId, SlotsChanged, TrackId, TrackUnreceivable
from sfu.outbound import PayloadTypes
from sfu.peer import Published
from sfu.srtp import Keys, Session
from sfu.switchboard import Member, Switchboard

from .media import GCM, VP9, Receiver, track_of, video
from .test_negotiation import peer_of


class Room:
    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.board = Switchboard(self.events.append, lambda: 1000.0)

    def member(self, name: str, *, slots: int = 0, keys: bool = True) -> Member:
        """A member with so many video slots."""
        member = self.board.members[PeerId(name)] = Member(PeerId(name), "room", 1)
        member.peer = peer_of()
        if keys:
            member.peer.transport.srtp = Session(Keys(GCM, bytes(28), bytes(28)))
        for number in range(slots):
            stream = Receiver(1000 + 2 * number).stream
            stream.codecs = {VP8: PayloadTypes(96, 97), OPUS: PayloadTypes(111, None)}
            member.peer.streams[stream.ssrc] = member.peer.slots[str(number)] = stream
            member.peer.pool.add("video", str(number), stream)
        return member

    def publish(self, owner: Member, name: str, codec: CodecKey = VP8) -> TrackId:
        assert owner.peer is not None
        published = Published(TrackId(name), name, "video", track_of("video", codec))
        owner.peer.published[name] = published
        self.board.tracks[published.id] = (owner, published)
        return published.id

    def want(self, member: Member, *tracks: TrackId) -> None:
        for track in tracks:
            self.board.want(member, track)
        self.board.reseat(member)

    def told(self) -> list[MediaEvent]:
        events, self.events[:] = list(self.events), []
        return events


def test_a_wish_is_seated_attached_and_told() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1)
    track = room.publish(ann, "v")
    room.want(bob, track)
    assert room.told() == [SlotsChanged(PeerId("bob"), {"0": track})]
    assert list(room.board.tracks[track][1].track._waiting) == list(bob.peer.slots.values())  # type: ignore[union-attr]
    room.want(bob, track)
    assert room.told() == []


def test_a_track_that_cannot_be_played_leaves_its_seat_to_the_next_in_line() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1)
    strange, usual = room.publish(ann, "strange", VP9), room.publish(ann, "usual")
    room.want(bob, strange, usual)
    assert room.told() == [
        TrackUnreceivable(PeerId("bob"), strange, "VP9"),
        SlotsChanged(PeerId("bob"), {"0": usual}),
    ]


def test_before_keys_a_track_is_seated_and_starts_when_they_come() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1, keys=False)
    track = room.publish(ann, "v")
    room.want(bob, track)
    source = room.board.tracks[track][1].track
    assert (len(room.told()), list(source._waiting)) == (1, [])
    assert bob.peer is not None
    bob.peer.transport.srtp = Session(Keys(GCM, bytes(28), bytes(28)))
    for _ in range(2):
        room.board.connected(bob)
    assert list(source._waiting) == list(bob.peer.slots.values())


def test_the_same_lack_of_slots_is_told_once() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=0)
    tracks = [room.publish(ann, f"v{n}") for n in range(3)]
    room.want(bob, tracks[0])
    room.want(bob, tracks[1])
    assert room.told() == [NegotiationNeeded(PeerId("bob"), 2, 2)]
    room.want(bob, tracks[2])
    assert room.told() == [NegotiationNeeded(PeerId("bob"), 2, 4)]


def test_a_track_that_ends_leaves_every_slot_and_the_next_wish_takes_it() -> None:
    room = Room()
    ann, bob, cat = room.member("ann"), room.member("bob", slots=1), room.member("cat", slots=1)
    one, two = room.publish(ann, "one"), room.publish(ann, "two")
    room.want(bob, one, two)
    room.want(cat, one)
    source = room.board.tracks[one][1].track
    source.receive(video(1, key=True), -1, -1, 1000.0)
    room.told()
    room.board.end(one)
    assert [event for event in room.told() if isinstance(event, SlotsChanged)] == [
        SlotsChanged(PeerId("bob"), {"0": two}),
        SlotsChanged(PeerId("cat"), {"0": None}),
    ]
    assert (source._running, source._waiting, one in bob.wishes) == ({}, {}, False)


def test_who_disconnects_takes_his_tracks_along_and_keeps_his_wishes() -> None:
    room = Room()
    ann, bob = room.member("ann", slots=1), room.member("bob", slots=1)
    anns, bobs = room.publish(ann, "ann-v"), room.publish(bob, "bob-v")
    room.want(ann, bobs)
    room.want(bob, anns)
    room.told()
    room.board.disconnected(ann)
    room.board.disconnected(ann)
    assert room.told() == [SlotsChanged(PeerId("bob"), {"0": None}), SlotsChanged(PeerId("ann"), {})]
    assert (list(room.board.tracks), list(ann.wishes)) == ([bobs], [bobs])
    assert room.board.tracks[bobs][1].track._waiting == {}


def test_roommates_are_the_connected_others_of_the_room() -> None:
    room = Room()
    ann, bob, cat = (room.member(name) for name in ("ann", "bob", "cat"))
    cat.room = "another"
    assert room.board.roommates(ann) == [bob.peer]
    bob.peer = None
    assert room.board.roommates(ann) == []


def test_a_member_that_fell_silent_is_sent_nothing_until_it_is_back() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=2)
    first, second = room.publish(ann, "first"), room.publish(ann, "second")
    room.want(bob, first)
    source = room.board.tracks[first][1].track
    room.board.paused(bob)
    room.want(bob, second)
    assert not source._waiting
    assert not room.board.tracks[second][1].track._waiting
    room.board.connected(bob)
    assert bob.peer is not None
    assert [stream.track for stream in bob.peer.slots.values()] == [source, room.board.tracks[second][1].track]
