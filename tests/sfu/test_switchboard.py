"""Wishes become tracks in slots, and who leaves takes along what was his."""

from __future__ import annotations

from sfu.codecs import OPUS, VP8, CodecKey
from sfu.media_plane import MediaEvent, NegotiationNeeded, PeerId, SlotsChanged, TrackId, TrackUnreceivable
from sfu.outbound import PayloadTypes
from sfu.path import Path
from sfu.published import Published
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
        member.peer = peer_of(wishes=member.wishes)
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


def test_who_moves_to_another_address_begins_anew_with_keyframes_both_ways() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1)
    cat = room.member("cat")
    mine, yours = room.publish(bob, "mine"), room.publish(ann, "yours")
    room.publish(cat, "other")
    room.want(bob, yours)
    asked: list[str] = []
    for name, track in ((track, published.track) for track, (_, published) in room.board.tracks.items()):
        track.ssrc = 7
        track.keyframes.arrived()
        track.ask_keyframe = lambda name=name: asked.append(name)  # type: ignore[misc]
    source = room.board.tracks[yours][1].track
    source.attach(bob.peer.slots["0"], 1000.0)  # type: ignore[union-attr]
    asked.clear()
    for port in (1, 1, 2, 2):
        assert bob.peer is not None
        bob.peer.transport._path = Path(None, ("192.0.2.1", port))  # type: ignore[arg-type]
        room.board.follow_moves(2000.0)
    assert sorted(asked) == sorted([mine, yours])


def test_a_track_that_cannot_be_played_leaves_its_seat_to_the_next_in_line() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1)
    strange, usual = room.publish(ann, "strange", VP9), room.publish(ann, "usual")
    room.want(bob, strange, usual)
    assert room.told() == [
        TrackUnreceivable(PeerId("bob"), strange, "VP9"),
        NegotiationNeeded(PeerId("ann"), 2, 2),
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


def follow(room: Room, track: TrackId, codec: CodecKey, sequence: int) -> None:
    """The publisher sends in `codec` from packet `sequence` on, which starts a keyframe."""
    source = room.board.tracks[track][1].track
    source.codec_changed = lambda: room.board.codec_changed(track)
    source.set_codec(codec, 1000.0)
    source.receive(video(sequence, key=True), -1, -1, 1000.0)


def test_a_publisher_is_asked_once_to_leave_a_codec_that_somebody_cannot_decode() -> None:
    room = Room()
    ann, bob, cat = room.member("ann"), room.member("bob", slots=1), room.member("cat", slots=1)
    track = room.publish(ann, "v", VP9)
    room.want(bob, track)
    room.want(cat, track)
    asked = [event for event in room.told() if isinstance(event, NegotiationNeeded)]
    assert asked == [NegotiationNeeded(PeerId("ann"), 2, 2)]


def test_a_track_that_becomes_decodable_is_seated_and_seen_by_all() -> None:
    room = Room()
    ann, bob, cat = room.member("ann"), room.member("bob", slots=1), room.member("cat", slots=1)
    assert cat.peer is not None
    [slot] = cat.peer.slots.values()
    slot.codecs = {VP9: PayloadTypes(98, 99), VP8: PayloadTypes(96, 97)}
    track = room.publish(ann, "v", VP9)
    room.want(bob, track)
    room.want(cat, track)
    source = room.board.tracks[track][1].track
    source.receive(video(1, key=True), -1, -1, 1000.0)
    room.told()
    follow(room, track, VP8, 2)
    assert room.told() == [SlotsChanged(PeerId("bob"), {"0": track})]
    assert len(source._running) == 2
    assert slot.packets == 1  # under VP9 only a keyframe of VP9 begins, and this was none
    follow(room, track, VP9, 3)
    told = room.told()
    assert TrackUnreceivable(PeerId("bob"), track, "VP9") in told
    assert SlotsChanged(PeerId("bob"), {"0": None}) in told


def test_an_offer_that_drops_a_codec_frees_the_slot_of_who_needs_it_and_one_that_renames_it_does_not() -> None:
    room = Room()
    ann, bob = room.member("ann"), room.member("bob", slots=1)
    assert bob.peer is not None
    [slot] = bob.peer.slots.values()
    first, second = room.publish(ann, "first"), room.publish(ann, "second", VP9)
    room.want(bob, first)
    source = room.board.tracks[first][1].track
    source.receive(video(1, key=True), -1, -1, 1000.0)
    room.told()
    slot.codecs = {VP8: PayloadTypes(120, 121)}
    room.board.renegotiated(bob)
    assert (room.told(), slot.track) == ([], source)
    source.receive(video(2, key=True), -1, -1, 1000.0)
    assert [group.payload_types.media for group in source._groups.values()] == [120]
    slot.codecs = {VP9: PayloadTypes(98, 99)}
    room.board.want(bob, second)
    room.board.renegotiated(bob)
    assert room.told() == [
        TrackUnreceivable(PeerId("bob"), first, "VP8"),
        NegotiationNeeded(PeerId("ann"), 2, 2),
        SlotsChanged(PeerId("bob"), {"0": second}),
    ]
    assert source._running == {}
