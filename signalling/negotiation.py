"""Media of a session: its peer, and its offers, one at a time.

One offer of a peer is being answered at any time; one more may wait. What an offer publishes becomes part of the
roster when its answer is there, so that nobody hears of a track that media refused.
"""

from __future__ import annotations

from dataclasses import replace

from sfu import media_plane as media
from sfu.media_plane import PeerId
from state.model import KIND_OF_SOURCE, Source, Track, TrackId

from . import messages as m
from . import publishing
from .commands import AnswerOffer, ClosePeer, OpenPeer, SetMuted, Subscribe
from .conference import Conference, Refused
from .events import OfferAnswered, OfferRefused
from .session import PendingOffer, Session, Socket

# --------------------------------------------------------------------------------------------------------- the peer


def open_peer(conference: Conference, session: Session) -> PeerId:
    """Make a media peer for a session and ask for all it is subscribed to."""
    session.peers_opened += 1
    peer = PeerId(f"{session.id}.{session.peers_opened}")
    session.peer, session.peer_state, session.offered = peer, "new", False
    conference.peers[peer] = session.id
    conference.do(OpenPeer(peer, session.room))
    if session.subscribed:
        conference.do(Subscribe(peer, publishing.media_ids(session.subscribed)))
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


def lose_peer(conference: Conference, session: Session) -> None:
    """The transport of a session ended for good: its tracks end, and its next offer begins a new peer."""
    close_peer(conference, session)
    publishing.unpublish_all(conference, session)


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
    publishing.publish(conference, session, event.peer, accepted)
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
