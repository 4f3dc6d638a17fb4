"""What a session publishes, as the room hears of it, muted or not, and what a grant still allows."""

from __future__ import annotations

from collections.abc import Iterable

from sfu import media_plane as media
from sfu.media_plane import PeerId
from state.model import RoomName, Track, TrackId

from . import messages as m
from . import roster
from .commands import SetMuted, Subscribe, Unsubscribe
from .conference import Conference
from .session import Session
from .tokens import Grant


def publish(conference: Conference, session: Session, peer: PeerId, accepted: dict[str, Track]) -> None:
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
                conference.do(Subscribe(other.peer, media_ids([track.id])))


def unpublish_all(conference: Conference, session: Session) -> None:
    """All tracks of a session end."""
    session.published = {}
    session.silenced.clear()
    _unpublish(conference, session, list(conference.rooms.participant(session.id).tracks))


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
                conference.do(Unsubscribe(other.peer, media_ids([track])))
    session.published = {mid: track for mid, track in session.published.items() if track not in ended}
    session.silenced.difference_update(ended)
    _unpublish(conference, session, ended)
    if not grant.subscribe and session.subscribed:
        lost = list(session.subscribed)
        session.subscribed.clear()
        if session.peer is not None:
            conference.do(Unsubscribe(session.peer, media_ids(lost)))
    if session.automatic:
        _subscribe_to_all(conference, session)


def _subscribe_to_all(conference: Conference, session: Session) -> None:
    others = (other for other in conference.rooms.room(session.room).participants if other.id != session.id)
    fresh = [track for other in others for track in other.tracks if track not in session.subscribed]
    session.subscribed.update((track, None) for track in fresh)
    if fresh and session.peer is not None:
        conference.do(Subscribe(session.peer, media_ids(fresh)))


def media_ids(tracks: Iterable[TrackId]) -> tuple[media.TrackId, ...]:
    """Tracks of the room model as the media plane names them."""
    return tuple(media.TrackId(track) for track in tracks)
