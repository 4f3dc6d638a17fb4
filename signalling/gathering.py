"""Gathering: a room that is in use at several instances comes together at its home, one member after the other.

Media meets at one instance, so people of one room who came to different ones, because these did not know of each
other or could not be reached, neither see nor hear each other until they meet. Those at the smaller side are asked to
go on at the home, each at a random moment of a short time, and connect there before they leave here.
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
STAYS = 60.0  # seconds for which one is left in peace who said that it cannot get there
REASON = "room_moved"


def sweep(conference: Conference) -> None:
    """Ask those whose time has come, and draw a time for those who are at the wrong instance since now."""
    if conference.migration is not None or conference.at.now < conference.next_gathering:
        return
    conference.next_gathering = conference.at.now + EVERY
    if not conference.cluster.is_connected():
        return
    for room in list(conference.shown):
        url = conference.cluster.home(room)
        if url is not None:
            _gather(conference, room, url)


def _gather(conference: Conference, room: RoomName, url: str) -> None:
    for session in list(conference.members(room)):
        if session.gathers_at is None:
            session.gathers_at = conference.at.now + _chance(conference) * SPREAD
        if session.gathers_at <= conference.at.now and session.socket is not None:
            _ask(conference, session, url)


def _ask(conference: Conference, session: Session, url: str) -> None:
    session.gathers_at = conference.at.now + AGAIN
    migration.migrate(conference, session, url, REASON)
    session.moves_until = conference.at.now + PATIENCE


def _chance(conference: Conference) -> float:
    return int.from_bytes(conference.random(2), "big") / 65536
