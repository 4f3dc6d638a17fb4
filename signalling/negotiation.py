"""Media of a session: its peer, its offers one at a time, what they publish, and what the media plane reports.

One offer of a peer is being answered at any time; one more may wait. What an offer publishes becomes part of the
roster when its answer is there, so that nobody hears of a track that media refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sfu import media_plane as media
from sfu.media_plane import PeerId
from state.model import KIND_OF_SOURCE, RoomName, Source, Track, TrackId

from . import messages as m
from . import roster
from .commands import AnswerOffer, ClosePeer, OpenPeer, SetMuted, Subscribe, Unsubscribe
from .conference import Conference, Refused
from .events import OfferAnswered, OfferRefused
from .session import PendingOffer, Session, Socket
from .tokens import Grant

# --------------------------------------------------------------------------------------------------------- the peer


def open_peer(conference: Conference, session: Session) -> PeerId:
    """Make a media peer for a session and ask for all it is subscribed to."""
    session.peers_opened += 1
    peer = PeerId(f"{session.id}.{session.peers_opened}")
    session.peer, session.peer_state, session.offered = peer, "new", False
    conference.peers[peer] = session.id
    conference.do(OpenPeer(peer, session.room))
    if session.subscribed:
        conference.do(Subscribe(peer, _media_ids(session.subscribed)))
    return peer


def close_peer(conference: Conference, session: Session) -> None:
    """End a session's media peer, and with it the offers that wait for it."""
    if session.peer is None:
        return
    conference.do(ClosePeer(session.peer))
    del conference.peers[session.peer]
    session.peer = None
    session.slots = {}
    for pending in (session.in_flight, session.queued):
        if pending is not None:
            closed = Refused("peer_closed", "The media connection ended before the offer was answered.")
            conference.refuse(pending.socket, closed, pending.offer.request)
    session.in_flight = session.queued = None


# ------------------------------------------------------------------------------------------------------------ offers


def offer(conference: Conference, session: Session, socket: Socket, message: m.Offer) -> None:
    """Take an offer: answer it now, or after the one in flight. Raises Refused."""
    mids = [track.mid for track in message.tracks]
    if len(set(mids)) != len(mids):
        raise Refused("invalid_message", "Two tracks name the same mid.", field="tracks")
    wait = session.offers.take(conference.at.now)
    if wait:
        conference.limited("offers_per_session")
        raise Refused("rate_limited", "You offer more often than allowed.", retry_after=wait)
    pending = PendingOffer(message, socket.id)
    if session.in_flight is None:
        _answer(conference, session, pending)
    elif session.queued is None:
        session.queued = pending
    else:
        raise Refused("offer_pending", "One offer is being answered and another one waits already.")


def _answer(conference: Conference, session: Session, pending: PendingOffer) -> None:
    peer = session.peer or open_peer(conference, session)
    session.offered = True
    known = conference.rooms.participant(session.id).tracks
    assigned: dict[str, tuple[TrackId, Source, bool]] = {}
    dtx = {wish.mid for wish in pending.offer.tracks if wish.dtx}
    rejected: list[m.RejectedTrack] = []
    for wish in pending.offer.tracks:
        refusal = _refusal(conference, session, wish, len(assigned))
        if refusal is not None:
            rejected.append(refusal)
            continue
        before = session.published.get(wish.mid)
        same = before is not None and known[before].source == wish.source
        track = before if before is not None and same else TrackId(conference.new_id("t"))
        assigned[wish.mid] = (track, wish.source, wish.muted)
    session.in_flight = replace(pending, assigned=assigned, rejected=tuple(rejected))
    published = tuple(
        media.PublishedTrack(mid, media.TrackId(track), dtx=mid in dtx) for mid, (track, _, _) in assigned.items()
    )
    conference.do(AnswerOffer(peer, pending.offer.sdp, published))


def _refusal(conference: Conference, session: Session, wish: m.OfferedTrack, accepted: int) -> m.RejectedTrack | None:
    if wish.source not in session.grant.publish:
        return _not_allowed(wish.mid, wish.source)
    if accepted >= conference.rules.max_tracks_per_participant:
        return m.RejectedTrack(mid=wish.mid, code="too_many_tracks", message="You publish as many tracks as you may.")
    return None


def _not_allowed(mid: str, source: Source) -> m.RejectedTrack:
    text = f"You are not allowed to publish {source}."
    return m.RejectedTrack(mid=mid, code="permission_denied", message=text)


def answered(conference: Conference, event: OfferAnswered) -> None:
    """An offer was answered: the client gets the answer, the others what changed."""
    session = conference.session_of_peer(event.peer)
    if session is None or session.in_flight is None:
        return
    pending, session.in_flight = session.in_flight, None
    accepted: dict[str, Track] = {}
    rejected = list(pending.rejected)
    for track in event.answer.accepted:
        id, source, muted = pending.assigned[track.mid]
        # Outside of the roster nobody can subscribe to a track, so what is not allowed stays unheard.
        if source not in session.grant.publish:  # a moderator took it away meanwhile
            rejected.append(_not_allowed(track.mid, source))
            conference.do(SetMuted(event.peer, track.track, muted=True))
        elif track.kind == KIND_OF_SOURCE[source]:
            accepted[track.mid] = Track(id, track.kind, source, muted or id in session.silenced)
        else:
            text = f"This section is {track.kind}, and {source} is not."
            rejected.append(m.RejectedTrack(mid=track.mid, code="kind_mismatch", message=text))
            conference.do(SetMuted(event.peer, track.track, muted=True))
    for mid, reason in event.answer.rejected.items():
        rejected.append(m.RejectedTrack(mid=mid, code="track_rejected", message=reason))
    conference.reply(
        pending.socket,
        m.SdpAnswer(
            sdp=event.answer.sdp,
            tracks=[m.AnsweredTrack(mid=mid, track=track.id) for mid, track in accepted.items()],
            rejected=rejected,
            request=pending.offer.request,
        ),
    )
    _publish(conference, session, event.peer, accepted)
    _next(conference, session)


def refused(conference: Conference, event: OfferRefused) -> None:
    """An offer was refused: what was published before stays so."""
    session = conference.session_of_peer(event.peer)
    if session is None or session.in_flight is None:
        return
    pending, session.in_flight = session.in_flight, None
    conference.refuse(pending.socket, Refused(event.code, event.text, field="sdp"), pending.offer.request)
    _next(conference, session)


def _next(conference: Conference, session: Session) -> None:
    if session.queued is not None:
        pending, session.queued = session.queued, None
        _answer(conference, session, pending)


# --------------------------------------------------------------------------------------------------- what they change


def _publish(conference: Conference, session: Session, peer: PeerId, accepted: dict[str, Track]) -> None:
    """Make `accepted` all that the session publishes, and tell the others the difference."""
    rooms = conference.rooms
    before = rooms.participant(session.id).tracks
    now = {track.id: track for track in accepted.values()}
    session.published = {mid: track.id for mid, track in accepted.items()}
    session.silenced &= set(session.published.values())
    _unpublish(conference, session, [track for track in before if track not in now])
    for track in now.values():
        if track.id not in before:
            if track.muted:
                conference.do(SetMuted(peer, media.TrackId(track.id), muted=True))
            rooms.publish(session.id, track)
            message = m.TrackPublished(participant=session.id, track=roster.track_info(track))
            conference.tell_room(session.room, message, but=[session.id])
            _subscribe_everybody(conference, session, track)
        elif track.muted != before[track.id].muted:
            set_muted(conference, session, track.id, track.muted)


def _subscribe_everybody(conference: Conference, publisher: Session, track: Track) -> None:
    for other in conference.members(publisher.room):
        if other is not publisher and other.automatic:
            other.subscribed[track.id] = None
            if other.peer is not None:
                conference.do(Subscribe(other.peer, _media_ids([track.id])))


def _unpublish(conference: Conference, session: Session, tracks: list[TrackId]) -> None:
    for track in tracks:
        conference.rooms.unpublish(session.id, track)
        message = m.TrackUnpublished(participant=session.id, track=track)
        conference.tell_room(session.room, message, but=[session.id])
    forget_tracks(conference, session.room, tracks)


def forget_tracks(conference: Conference, room: RoomName, tracks: list[TrackId]) -> None:
    """Take ended tracks out of everybody's subscriptions; the media plane has emptied their slots by itself."""
    if tracks:
        for other in conference.members(room):
            for track in tracks:
                other.subscribed.pop(track, None)


def set_muted(conference: Conference, session: Session, track: TrackId, muted: bool, by: str = "") -> None:
    """Mute or unmute a track of a session, and tell the others if that is new, and its owner if it is `by` another."""
    if conference.rooms.set_muted(track, muted):
        if session.peer is not None:
            conference.do(SetMuted(session.peer, media.TrackId(track), muted))
        message = m.TrackMuted(participant=session.id, track=track, muted=muted, by=by or m.UNSET)
        conference.tell_room(session.room, message, but=[] if by else [session.id])


def silence(conference: Conference, session: Session, track: TrackId, by: str) -> None:
    """Mute a track of somebody else: only its owner's `unmute` ends that, and no offer, as one may be under way."""
    session.silenced.add(track)
    set_muted(conference, session, track, True, by)


def permit(conference: Conference, session: Session, grant: Grant) -> None:
    """Let another grant hold from now on: what is published or received without permission ends."""
    session.grant = grant
    tracks = conference.rooms.participant(session.id).tracks
    ended = [track.id for track in tracks.values() if track.source not in grant.publish]
    for track in ended:
        if session.peer is not None:
            conference.do(SetMuted(session.peer, media.TrackId(track), muted=True))
        for other in conference.members(session.room):
            if track in other.subscribed and other.peer is not None:
                conference.do(Unsubscribe(other.peer, _media_ids([track])))
    session.published = {mid: track for mid, track in session.published.items() if track not in ended}
    session.silenced.difference_update(ended)
    _unpublish(conference, session, ended)
    if not grant.subscribe and session.subscribed:
        lost = list(session.subscribed)
        session.subscribed.clear()
        if session.peer is not None:
            conference.do(Unsubscribe(session.peer, _media_ids(lost)))
    if session.automatic:
        _subscribe_to_all(conference, session)


def _subscribe_to_all(conference: Conference, session: Session) -> None:
    others = (other for other in conference.rooms.room(session.room).participants if other.id != session.id)
    fresh = [track for other in others for track in other.tracks if track not in session.subscribed]
    session.subscribed.update((track, None) for track in fresh)
    if fresh and session.peer is not None:
        conference.do(Subscribe(session.peer, _media_ids(fresh)))


def _media_ids(tracks: Iterable[TrackId]) -> tuple[media.TrackId, ...]:
    return tuple(media.TrackId(track) for track in tracks)


# ---------------------------------------------------------------------------------------------- what media reports


def needs_sections(conference: Conference, event: media.NegotiationNeeded) -> None:
    """A peer lacks receive sections: ask its client for an offer, unless welcome asked for that many already."""
    session = conference.session_of_peer(event.peer)
    if session is None:
        return
    audio, video = session.receive
    if not session.offered and event.audio <= audio and event.video <= video:
        return
    session.receive = (event.audio, event.video)
    conference.send(session, m.Renegotiate(audio=event.audio, video=event.video))


def slots_changed(conference: Conference, event: media.SlotsChanged) -> None:
    """Another track travels in a receive section."""
    session = conference.session_of_peer(event.peer)
    if session is not None:
        session.slots = dict(event.slots)
        conference.send(session, m.Slots(slots=roster.slots(session.slots)))


def unreceivable(conference: Conference, event: media.TrackUnreceivable) -> None:
    """A client cannot decode what it subscribed to."""
    session = conference.session_of_peer(event.peer)
    if session is not None:
        text = (
            f"Your browser does not play {event.codec}, in which this is sent. The sender is asked for another format; "
            "if it does not appear, use a current browser."
        )
        conference.send(session, m.TrackUnreceivable(track=event.track, codec=event.codec, message=text))


def speakers_changed(conference: Conference, event: media.SpeakersChanged) -> None:
    """Tell a room who speaks: participants, each with its loudest track, and only if that is new."""
    room = RoomName(event.room)
    if room not in conference.rooms:
        return
    levels: dict[str, float] = {}
    for track, level in event.speakers:
        owner = conference.rooms.owner_of(TrackId(track))
        if owner is not None:
            levels[owner] = max(levels.get(owner, 0.0), round(level, 2))
    speakers = [
        m.Speaker(participant=participant, level=level)
        for participant, level in sorted(levels.items(), key=lambda entry: -entry[1])
    ]
    if speakers != conference.speakers.get(room, []):
        conference.speakers[room] = speakers
        conference.tell_room(room, m.Speakers(speakers=speakers))


def forget_speaker(conference: Conference, session: Session) -> None:
    """Somebody left: those who come next are not told that it speaks."""
    speakers = conference.speakers.get(session.room)
    if speakers:
        conference.speakers[session.room] = [one for one in speakers if one.participant != session.id]


def lose_peer(conference: Conference, session: Session) -> None:
    """The transport of a session ended for good: its tracks end, and its next offer begins a new peer."""
    close_peer(conference, session)
    session.published = {}
    session.silenced.clear()
    _unpublish(conference, session, list(conference.rooms.participant(session.id).tracks))


def tell_state(conference: Conference, session: Session, state: media.PeerState, reason: str) -> None:
    """Tell a client how the server sees its transport."""
    session.peer_state = state
    if state != "new":
        conference.send(session, m.MediaState(state=state, message=reason))


def tell_lost_media(conference: Conference, session: Session) -> None:
    """Tell a client that came back that its transport ended meanwhile."""
    if session.peer is None:
        conference.send(session, m.MediaState(state="failed", message="The media connection ended; offer again."))
