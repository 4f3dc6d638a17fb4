"""How one gets out: leaving, a lost socket, a window that passed, a newer session of the same identity, the end."""

from __future__ import annotations

from . import elsewhere, media_reports, negotiation, precall, publishing, waiting
from . import messages as m
from .commands import CloseCode
from .conference import Conference
from .events import SocketId
from .session import Session, Socket, Standing, Step


def leave(conference: Conference, session: Session, socket: Socket, message: m.Leave) -> None:
    """The client asked to end its session. An offer in flight is answered before goodbye is said."""
    negotiation.close_peer(conference, session)
    conference.dismiss(socket.id, "left", "Goodbye.", CloseCode.NORMAL, request=message.request)
    session.socket = None
    end(conference, session, message.reason)


def replaced(conference: Conference, session: Session) -> None:
    """The same identity joined the room again: the newer session stays."""
    send_out(conference, session, "replaced", "You joined this room from another place.", CloseCode.REPLACED)


def send_out(conference: Conference, session: Session, reason: str, text: str, close: CloseCode) -> None:
    """End a session that did not ask for it, whether it has a socket now or not."""
    negotiation.close_peer(conference, session)
    if session.socket is not None:
        conference.dismiss(session.socket, reason, text, close)
        session.socket = None
    end(conference, session, reason)


def socket_lost(conference: Conference, socket: SocketId, *, clean: bool = False) -> None:
    """A socket is gone; its session, if it still is its session, waits to be resumed while media goes on.

    `clean`: its client closed it, as a page does that is left.
    """
    conference.strangers.pop(socket, None)
    waiting.socket_lost(conference, socket)
    known = conference.sockets.pop(socket, None)
    if known is None:
        return
    if known.holder is not None:
        conference.connections.leave(known.holder)
    if known.check in conference.checks:
        precall.end(conference, conference.checks[known.check])
    if known.session is None:
        return
    session = conference.sessions[known.session]
    session.left_cleanly = clean
    detach(conference, session)
    if session.peer_state in ("failed", "closed"):
        fade(conference, session)


def fade(conference: Conference, session: Session) -> None:
    """Neither a socket nor media is left of a session: it ends, unless its client may be building both anew."""
    if session.left_cleanly:
        end(conference, session, "timeout")
    else:
        negotiation.lose_peer(conference, session)
        conference.fading.setdefault(session.id, conference.at.now + conference.rules.media_grace)


def detach(conference: Conference, session: Session) -> None:
    """Take a session off its socket."""
    session.step(Step.SOCKET_LOST)
    session.socket = None
    session.lost_at = conference.at.now
    conference.detached[session.id] = None


def sweep(conference: Conference) -> None:
    """End what has waited too long: strangers without a word, sessions without a socket, those who wait to be let in,
    what held in rooms that went on elsewhere.

    Each is taken out of its queue first, so that one that cannot be ended never holds up the others.
    """
    now = conference.at.now
    while conference.strangers:
        socket = conference.sockets[next(iter(conference.strangers))]
        if socket.deadline > now:
            break
        del conference.strangers[socket.id]
        conference.failures.take(socket.address, now)
        conference.reply(socket.id, m.Error(code="join_timeout", message="No join or resume came in time."))
        conference.dismiss(socket.id, "join_timeout", "No join or resume came in time.", CloseCode.POLICY)
    while conference.detached:
        session = conference.sessions[next(iter(conference.detached))]
        if session.lost_at + conference.rules.resume_window > now:
            break
        del conference.detached[session.id]
        end(conference, session, "timeout", Step.WINDOW_PASSED)
    while conference.fading:
        participant, ends = next(iter(conference.fading.items()))
        if ends > now:
            break
        del conference.fading[participant]
        end(conference, conference.sessions[participant], "timeout", Step.WINDOW_PASSED)
    heard = conference.cluster.is_connected()
    for room, ends in list(conference.left_behind.items()):
        if ends > now and not (heard and not conference.cluster.elsewhere(room)):
            continue
        del conference.left_behind[room]
        if room not in conference.rooms:
            conference.doors.emptied(room)
    waiting.sweep(conference)
    conference.doors.sweep(conference.at.wall)
    precall.sweep(conference)


def shut_down(conference: Conference) -> None:
    """Tell every client that this process ends.

    They are told to come back: where nobody knows their session any more, a resume that fails leads to a new join.
    """
    conference.shutting_down = True
    conference.waiting.clear()
    for socket in list(conference.sockets):
        text = "This server is about to end; come back soon."
        conference.dismiss(socket, "shutting_down", text, CloseCode.RESTART, resume=True)


def dismiss_for_errors(conference: Conference, socket: Socket) -> None:
    """Too much nonsense on one connection. Its session may be resumed by a client that means well."""
    waiting.socket_lost(conference, socket.id)
    if socket.standing is Standing.MEMBER and socket.session is not None:
        detach(conference, conference.sessions[socket.session])
        resume = True
    else:
        resume = False
    conference.dismiss(socket.id, "too_many_errors", "Too many messages were refused.", CloseCode.POLICY, resume=resume)


def end(conference: Conference, session: Session, reason: str, step: Step = Step.LEFT) -> None:
    """End a session: its media, its place in the room, its resume token. The others are told why."""
    session.step(step)
    conference.detached.pop(session.id, None)
    conference.fading.pop(session.id, None)
    conference.resumable.pop(session.resume_key, None)
    negotiation.close_peer(conference, session)
    del conference.sessions[session.id]
    gone = conference.rooms.leave(session.id)
    conference.tell_room(session.room, m.ParticipantLeft(participant=session.id, reason=reason))
    if session.room in conference.rooms:
        publishing.forget_tracks(conference, session.room, list(gone.tracks))
        media_reports.forget_speaker(conference, session)
        elsewhere.refresh(conference, session.room)
    else:
        conference.shown.pop(session.room, None)
        conference.speakers.pop(session.room, None)
        if reason != "replaced":  # the same identity enters in a moment, here or, of late, elsewhere (cluster_news.py)
            conference.doors.emptied(session.room)
