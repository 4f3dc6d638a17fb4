"""What the media plane reports, as clients are told it: sections, slots, formats, who speaks, and how media is."""

from __future__ import annotations

from sfu import media_plane as media
from state.model import RoomName, TrackId

from . import messages as m
from . import roster
from .conference import Conference
from .session import Session


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


def tell_state(conference: Conference, session: Session, state: media.PeerState, reason: str) -> None:
    """Tell a client how the server sees its transport."""
    session.peer_state = state
    if state != "new":
        conference.send(session, m.MediaState(state=state, message=reason))


def tell_lost_media(conference: Conference, session: Session) -> None:
    """Tell a client that came back that its transport ended meanwhile."""
    if session.peer is None:
        conference.send(session, m.MediaState(state="failed", message="The media connection ended; offer again."))
