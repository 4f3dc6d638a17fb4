"""How a client goes on elsewhere, or with new media, while its stay and its call go on.

The verbs are for operators and for the end of the process; no client asks for them.
"""

from __future__ import annotations

from . import messages as m
from . import negotiation
from .conference import Conference, Migration
from .session import Session


def restart_media(conference: Conference, session: Session, reason: str) -> None:
    """Have a client build a new RTCPeerConnection: what it publishes ends, and begins again with its next offer."""
    negotiation.lose_peer(conference, session)
    conference.send(session, m.MediaRestart(reason=reason))


def restart_all_media(conference: Conference, reason: str) -> None:
    """Have everybody build new RTCPeerConnections."""
    for session in list(conference.sessions.values()):
        restart_media(conference, session, reason)


def migrate(conference: Conference, session: Session, url: str, reason: str, patience: float | None = None) -> None:
    """Ask a client to go on at `url`; it has `patience` seconds before it is sent away, or all the time it needs."""
    deadline = m.UNSET if patience is None else round(max(0.0, patience), 3)
    conference.send(session, m.Migrate(url=url, reason=reason, deadline=deadline))


def begin(conference: Conference, url: str, reason: str, *, spread: float, patience: float) -> None:
    """Ask everybody to go on at `url`, or where their room is at home among the other instances if it is empty.

    They are asked within `spread` seconds: the instance there should not get all at once.

    Nobody new is let in from now on; `patience` is how many seconds are left.
    """
    now = conference.at.now
    due = {id: now + spread * conference.chance() for id in conference.sessions}
    conference.migration = Migration(url, reason, now + patience, due)


def sweep(conference: Conference) -> None:
    """Ask those whose time has come."""
    plan = conference.migration
    if plan is None:
        return
    for id in [id for id, at in plan.due.items() if at <= conference.at.now]:
        del plan.due[id]
        session = conference.sessions.get(id)
        if session is not None:
            ask_again(conference, session)


def ask_again(conference: Conference, session: Session) -> None:
    """Ask somebody who was asked before, perhaps into a dead socket."""
    plan = conference.migration
    if plan is None or session.id in plan.due:
        return
    url = plan.url or conference.cluster.home(session.room)
    if url:
        session.moves_until = plan.ends_at
        migrate(conference, session, url, plan.reason, plan.ends_at - conference.at.now)
