"""The waiting room: who has a valid token but is not let in until a moderator says so, and sees nothing until then.

Those who wait are few and wait for a bounded time. They have no session: one whose socket is lost is forgotten. They
wait where the moderators are: this instance looks where the room is in use, and sends them on if that is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from state.model import ParticipantId, RoomName

from . import messages as m
from .commands import CloseCode
from .conference import Conference, Refused
from .events import SocketId
from .session import Session, Socket, Standing, Waiter

Outcome = Literal["admitted", "denied", "left", "timeout", "banned"]


@dataclass(frozen=True, slots=True)
class Farewell:
    """With which words somebody is sent away who waited."""

    code: str
    text: str
    close: CloseCode


DENIED = Farewell("denied", "You were not let in.", CloseCode.REMOVED)
BANNED = Farewell("banned", "You may not enter this room.", CloseCode.REMOVED)
ROOM_ENDED = Farewell("room_ended", "This room was ended.", CloseCode.REMOVED)
NO_RELAY = (
    "You are asked in, but your network needs a relay and none works just now. You wait on; please keep this page open."
)
TIMED_OUT = Farewell("waiting_timeout", "Nobody let you in.", CloseCode.TRY_LATER)


def wait(conference: Conference, socket: Socket, waiter: Waiter, request: str | m.UnsetType) -> None:
    """Have somebody wait; another socket of the same identity waits no longer. Raises Refused."""
    older = next((one for one in of_room(conference, waiter.claims.room) if _same(one, waiter)), None)
    rules = conference.rules
    full = len(conference.waiting) >= rules.max_waiting
    if older is None and (full or len(of_room(conference, waiter.claims.room)) >= rules.max_waiting_per_room):
        text = "Too many wait already."
        raise Refused("waiting_room_full", text, close=CloseCode.TRY_LATER)
    if older is not None:
        send_away(conference, older, "left", Farewell("replaced", "You wait in another place now.", CloseCode.REPLACED))
    conference.strangers.pop(socket.id, None)
    socket.standing = Standing.WAITING
    socket.waiter = waiter.id
    conference.waiting[waiter.id] = waiter
    conference.reply(socket.id, m.Waiting(participant=waiter.id, room=waiter.claims.room, request=request))
    conference.tell_moderators(waiter.claims.room, told(waiter))
    conference.cluster.watch(waiter.claims.room, waiter.deadline, conference.at.now)


def of_room(conference: Conference, room: RoomName) -> list[Waiter]:
    """Who waits for a room, in the order in which they came."""
    return [waiter for waiter in conference.waiting.values() if waiter.claims.room == room]


def waiter_in(conference: Conference, room: RoomName, participant: ParticipantId) -> Waiter:
    """One who waits. Raises Refused."""
    waiter = conference.waiting.get(participant)
    if waiter is None or waiter.claims.room != room:
        raise Refused("unknown_participant", "Nobody with this id waits for this room.", field="participant")
    return waiter


def told(waiter: Waiter) -> m.ParticipantWaiting:
    """How moderators hear of somebody who waits."""
    return m.ParticipantWaiting(participant=waiter.id, identity=waiter.claims.identity, name=waiter.claims.name)


def tell_all(conference: Conference, session: Session) -> None:
    """Tell one moderator of everybody who waits now."""
    for waiter in of_room(conference, session.room):
        conference.send(session, told(waiter))


def forget(conference: Conference, participant: ParticipantId, outcome: Outcome) -> None:
    """Somebody waits no longer; the moderators hear of it."""
    waiter = conference.waiting.pop(participant, None)
    if waiter is None:
        return
    socket = conference.sockets.get(waiter.socket)
    if socket is not None:
        socket.waiter = None
    conference.tell_moderators(waiter.claims.room, m.WaitingEnded(participant=waiter.id, reason=outcome))


def send_away(conference: Conference, waiter: Waiter, outcome: Outcome, farewell: Farewell) -> None:
    """Say goodbye to somebody who waits."""
    forget(conference, waiter.id, outcome)
    conference.dismiss(waiter.socket, farewell.code, farewell.text, farewell.close)


def leave(conference: Conference, socket: Socket, message: m.Leave) -> None:
    """Somebody does not want to wait any more."""
    assert socket.waiter is not None  # noqa: S101 - control leads nobody else here
    forget(conference, socket.waiter, "left")
    conference.dismiss(socket.id, "left", "Goodbye.", CloseCode.NORMAL, request=message.request)


def socket_lost(conference: Conference, socket: SocketId) -> None:
    """The socket of somebody who waits is gone, or about to be."""
    known = conference.sockets.get(socket)
    if known is not None and known.waiter is not None:
        forget(conference, known.waiter, "left")


def send_on(conference: Conference, room: RoomName) -> None:
    """If a room is in use elsewhere and not here, have who waits for it wait there, unless they cannot get there."""
    if room in conference.rooms or not conference.cluster.elsewhere(room):
        return
    url = conference.cluster.meeting_place(room)
    if url is None:
        return
    for waiter in of_room(conference, room):
        if not waiter.stays:
            forget(conference, waiter.id, "left")
            conference.redirect(waiter.socket, url)


def sweep(conference: Conference) -> None:
    """Send away who has waited too long, and on who waits in the wrong place."""
    for room in {waiter.claims.room for waiter in conference.waiting.values()}:
        send_on(conference, room)
    while conference.waiting:
        waiter = next(iter(conference.waiting.values()))
        if waiter.deadline > conference.at.now:
            break
        send_away(conference, waiter, "timeout", TIMED_OUT)


def _same(one: Waiter, other: Waiter) -> bool:
    return (one.claims.room, one.claims.identity) == (other.claims.room, other.claims.identity)
