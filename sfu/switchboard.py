"""Who receives what: the wishes of all members, turned into tracks that travel in slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .media_plane import (
    MediaEvent,
    NegotiationNeeded,
    PeerId,
    SlotsChanged,
    TrackId,
    TrackUnreceivable,
)
from .outbound import OutboundStream
from .peer import Peer
from .published import Published
from .slots import Wish


@dataclass(slots=True)
class Member:
    """What the control plane knows as a peer: it outlives the connection that its offers make."""

    id: PeerId
    room: str
    session_id: int
    session_version: int = 0
    remote_ufrag: str = ""
    wishes: dict[TrackId, Wish] = field(default_factory=dict)
    peer: Peer | None = None
    layout: Mapping[str, TrackId | None] = field(default_factory=dict)
    asked: tuple[int, int] = (0, 0)
    paused: bool = False
    address: object = None  # where media went to at the last look


class Switchboard:
    """All members and tracks of this engine. `emit` takes the events that its changes cause."""

    def __init__(self, emit: Callable[[MediaEvent], None], clock: Callable[[], float]) -> None:
        self.members: dict[PeerId, Member] = {}
        self.tracks: dict[TrackId, tuple[Member, Published]] = {}
        self._early: list[tuple[Member, TrackId, OutboundStream]] = []
        self._emit = emit
        self._clock = clock

    def roommates(self, member: Member) -> list[Peer]:
        """The connected others of the member's room."""
        others = (other for other in self.members.values() if other.room == member.room and other is not member)
        return [other.peer for other in others if other.peer is not None]

    def want(self, member: Member, track_id: TrackId) -> None:
        """The member wants a track. One that is unknown, its own or of another room is ignored."""
        owner, published = self.tracks.get(track_id, (member, None))
        if published is None or owner is member or owner.room != member.room:
            return
        member.wishes[track_id] = Wish(published.kind, owner.id)

    def wishes_for(self, owner: Member) -> dict[TrackId, list[Member]]:
        """Who wants which of the tracks that the member publishes."""
        own = [track_id for track_id, (publisher, _) in self.tracks.items() if publisher is owner]
        return {track_id: [one for one in self.members.values() if track_id in one.wishes] for track_id in own}

    def want_again(self, track_id: TrackId, members: Iterable[Member]) -> None:
        """A track that had ended is there again: those of `members` who are still here get it back."""
        for member in members:
            if self.members.get(member.id) is member:
                self.want(member, track_id)
                self.reseat(member)

    def drop(self, member: Member, track_id: TrackId) -> None:
        """The member wants a track no longer."""
        member.wishes.pop(track_id, None)
        stream = member.peer.pool.drop(track_id) if member.peer else None
        if stream is not None and stream.track is not None:
            stream.track.detach(stream, self._clock())

    def end(self, track_id: TrackId) -> None:
        """The track is no longer published: it leaves every slot."""
        self.tracks.pop(track_id, None)
        for member in self.members.values():
            if track_id in member.wishes:
                self.drop(member, track_id)
                self.reseat(member)

    def reseat(self, member: Member) -> None:
        """Seat what waits, start it if there are keys, and tell the client what changed or what it lacks."""
        peer = member.peer
        if peer is None:
            return
        now = self._clock()
        while seated := peer.pool.fill():  # again, since a refused track leaves its seat to the next in line
            for track_id, stream in seated:
                track = self.tracks[track_id][1].track
                if track.codec not in stream.codecs:
                    self._refuse(member, peer, track_id)
                elif peer.transport.srtp is not None and not member.paused:
                    track.attach(stream, now)
        layout = peer.pool.layout()
        if layout != member.layout:
            member.layout = layout
            self._emit(SlotsChanged(member.id, layout))
        if peer.pool.lacks_slots():
            asked = (peer.pool.needed("audio"), peer.pool.needed("video"))
            if asked != member.asked:
                member.asked = asked
                self._emit(NegotiationNeeded(member.id, *asked))

    def _refuse(self, member: Member, peer: Peer, track_id: TrackId) -> None:
        """The member cannot decode the track: tell it, and ask the publisher for something that all can decode."""
        if not peer.pool.refuse(track_id):
            return
        owner, published = self.tracks[track_id]
        codec = published.track.codec
        self._emit(TrackUnreceivable(member.id, track_id, codec.name if codec else "unknown"))
        if owner.peer is not None and codec is not None and published.asked_to_leave != codec:
            published.asked_to_leave = codec
            needed = owner.peer.pool.needed
            self._emit(NegotiationNeeded(owner.id, needed("audio"), needed("video")))

    def renegotiated(self, member: Member) -> None:
        """The member may decode less than before, or more: who cannot be played leaves, then the others are seated."""
        peer = member.peer
        if peer is None:
            return
        now = self._clock()
        peer.pool.reconsider()
        for stream in peer.slots.values():
            track_id = peer.pool.track_in(stream)
            if track_id is None:
                continue
            track = self.tracks[track_id][1].track
            if track.codec in stream.codecs:
                track.renegotiated(stream, now)
            else:
                track.detach(stream, now)
                self._refuse(member, peer, track_id)
        self.reseat(member)

    def codec_changed(self, track_id: TrackId) -> None:
        """The track comes in another codec: who can decode it now gets it, and who no longer can is told."""
        for member in self.members.values():
            if track_id in member.wishes and member.peer is not None:
                member.peer.pool.forgive(track_id)
                self.renegotiated(member)

    def _start(self, member: Member, track_id: TrackId, stream: OutboundStream, now: float) -> None:
        if stream.ready_at <= now:
            self.tracks[track_id][1].track.attach(stream, now)
        else:
            self._early.append((member, track_id, stream))

    def start_ready(self, now: float) -> None:
        """Start what waited until its receiver knows of it, if it still is what sits there."""
        early, self._early = self._early, []
        for member, track_id, stream in early:
            if member.peer is not None and member.peer.pool.slot_of(track_id) is stream and stream.track is None:
                self._start(member, track_id, stream, now)

    def connected(self, member: Member) -> None:
        """The member's connection has keys: start what is seated already."""
        peer = member.peer
        if peer is None:
            return
        member.paused = False
        now = self._clock()
        for stream in peer.slots.values():
            peer.connect_slot(stream)
            seated = peer.pool.track_in(stream)
            if seated is not None and stream.track is None:
                self._start(member, seated, stream, now)
        for published in peer.published.values():
            published.track.retry_keyframe(now)

    def follow_moves(self, now: float) -> None:
        """What was on its way to and from an address of before is lost, and more than repair is for: begin anew."""
        for member in self.members.values():
            peer = member.peer
            before, member.address = member.address, peer.transport.address if peer is not None else None
            if peer is None or before is None or member.address == before:
                continue
            for published in peer.published.values():
                published.track.keyframes.was_lost()
                published.track.want_keyframe(now)
            for stream in peer.streams.values():
                if stream.track is not None:
                    stream.track.want_keyframe(now)

    def paused(self, member: Member) -> None:
        """Nothing may be sent to the member now: encrypt nothing for it, until `connected` starts its slots again.

        The numbers of its slots stand still meanwhile; going on unheard they could pass a roll-over that it misses.
        """
        if member.peer is not None:
            member.paused = True
            self._detach_all(member.peer)

    def _detach_all(self, peer: Peer) -> None:
        now = self._clock()
        for stream in peer.streams.values():
            if stream.track is not None:
                stream.track.detach(stream, now)

    def disconnected(self, member: Member) -> None:
        """The member's connection ends: its tracks end, its slots are gone; its wishes stay."""
        peer = member.peer
        if peer is None:
            return
        member.peer, member.paused = None, False
        for mid, published in list(peer.published.items()):
            peer.unpublish(mid)
            self.end(published.id)
        self._detach_all(peer)
        if member.layout:
            member.layout = {}
            self._emit(SlotsChanged(member.id, {}))
