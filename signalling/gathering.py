"""Gathering: a room that is in use at several instances comes together at its home, one member after the other.

Media meets at one instance, so people of one room who came to different ones, because these did not know of each
other or could not be reached, neither see nor hear each other until they meet. Those at the smaller side are asked to
go on at the home, each at a random moment of a short time, and connect there before they leave here. After an outage
they are asked when both instances hear the others again, so that everybody is told once that it is over.
"""

from __future__ import annotations

from state.model import RoomName

from . import migration
from .conference import Conference
from .session import Session

EVERY = 0.5  # seconds between two looks
SPREAD = 2.0  # seconds within which members are asked
PATIENCE = 20.0  # seconds a client has, and for which a newer session of its identity elsewhere does not end this one
AGAIN = 30.0  # seconds until one is asked again who did not go
FRESH = 2.0  # seconds since somebody came in which it is asked at once
STAYS = 60.0  # seconds for which one is left in peace who said that it cannot get there
REASON = "room_moved"


def sweep(conference: Conference) -> None:
    """Ask those whose time has come, and draw a time for those who are at the wrong instance since now."""
    if conference.at.now < conference.next_gathering:
        return
    conference.next_gathering = conference.at.now + EVERY
    for room in list(conference.shown):
        look(conference, room)


def begin_anew(conference: Conference) -> None:
    """After an outage everybody is asked again, whoever could not get there before it."""
    for session in conference.sessions.values():
        session.gathers_at = None


def look(conference: Conference, room: RoomName) -> None:
    """See whether a room is at home elsewhere, and ask those who have not been asked for a while."""
    url = conference.cluster.meeting_place(room)
    if url is None or conference.migration is not None:
        return
    for session in list(conference.members(room)):
        if session.gathers_at is None:
            # Who has just come has nothing to lose: we knew of nobody in the room, and now we do.
            fresh = conference.at.now - session.entered_at < FRESH
            session.gathers_at = conference.at.now + (0.0 if fresh else conference.chance() * SPREAD)
        if session.gathers_at <= conference.at.now and session.socket is not None:
            _ask(conference, session, url)


def _ask(conference: Conference, session: Session, url: str) -> None:
    session.gathers_at = conference.at.now + AGAIN
    migration.migrate(conference, session, url, REASON)
    session.moves_until = conference.at.now + PATIENCE
