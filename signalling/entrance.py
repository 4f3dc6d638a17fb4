"""How one gets in: join with an access token, resume a session whose socket was lost, or test the way beforehand."""

from __future__ import annotations

import base64
import hashlib
from collections import deque

from state.model import Identity, Participant, ParticipantId, RoomName

from . import departure, elsewhere, gathering, media_reports, migration, negotiation, precall, relays, roster, waiting
from . import messages as m
from .commands import CloseCode, Verified
from .conference import Conference, Refused
from .keys import TokenError
from .limits import TokenBucket
from .session import Session, Socket, Standing, Step, Waiter
from .tokens import Claims, Grant

RESUME_TOKEN_BYTES = 16  # 128 bits

# A socket is dead long before the server knows, and takes along what was sent to it. A client had what it was sent
# until we last heard of it, less what was on the way just then: at most so many seconds.
ON_THE_WAY = 5.0


def join(conference: Conference, socket: Socket, message: m.Join) -> None:
    """A new session. Raises Refused."""
    _check_open(conference)
    claims = _verify(conference, socket, message.token)
    home = None if message.stay else conference.cluster.home(claims.room)
    if home is not None:
        conference.redirect(socket.id, home, message.request)
        return
    if message.relay_only:
        relays.check_relay(conference, "You connect", field="relay_only")
    if conference.migration is not None:
        raise Refused("shutting_down", "This server is about to end.", close=CloseCode.RESTART)
    grant = conference.doors.grant_of(claims)
    flags = _flags(conference, claims.room)
    inside = _is_inside(conference, claims, flags)
    _check_door(conference, claims, flags, free=inside or grant.admin)
    id = ParticipantId(conference.new_id("p"))
    wants_all = message.subscribe == "auto"
    if (claims.wait or "waiting_room" in flags) and not (inside or grant.admin):
        deadline = conference.at.now + conference.rules.waiting_timeout
        waiter = Waiter(id, socket.id, claims, wants_all, message.relay_only, message.stay, deadline)
        waiting.wait(conference, socket, waiter, message.request)
    else:
        check_space(conference, claims)
        enter(conference, socket, claims, id, wants_all=wants_all, stays=message.stay, request=message.request)


def _flags(conference: Conference, room: RoomName) -> frozenset[str]:
    """What keeps people out of a room. While nobody is in it here, what is said where it is in use, if we hear that."""
    flags = conference.doors.rules(room).flags
    return flags if room in conference.rooms else flags | conference.cluster.flags(room)


def _is_inside(conference: Conference, claims: Claims, flags: frozenset[str]) -> bool:
    """Whether the identity is in the room still, here or elsewhere: who goes to another instance is not new."""
    here = conference.rooms.by_identity(claims.room, claims.identity)
    return here is not None or conference.cluster.is_inside(claims.room, claims.identity, flags)


def enter(
    conference: Conference,
    socket: Socket,
    claims: Claims,
    id: ParticipantId,
    *,
    wants_all: bool,
    stays: bool = False,
    request: str | m.UnsetType = m.UNSET,
) -> None:
    """Open a session for somebody whom the door lets in; an older one of the same identity ends."""
    older = conference.rooms.by_identity(claims.room, claims.identity)
    grant = conference.doors.grant_of(claims)
    if older is not None:
        departure.replaced(conference, conference.sessions[older])
    session = _open_session(conference, socket, claims, id, grant, wants_all=wants_all)
    others = list(conference.rooms.room(claims.room).participants)
    latest = max((conference.cluster.clock(claims.room), *(other.joined for other in others)))
    joined = max(latest + 1, int(conference.at.wall * 1000))
    member = Participant(session.id, claims.identity, claims.name, joined=joined)
    conference.rooms.enter(claims.room, member)
    conference.doors.opened(claims.room, conference.new_id("r"))
    if grant.subscribe:
        known = [track for other in others for track in other.tracks.values()] if session.automatic else []
        session.subscribed = {track.id: None for track in known}
        session.receive = roster.first_sections(known)
    _welcome(conference, session, socket, resumed=False, request=request)
    conference.tell_room(
        claims.room, m.ParticipantJoined(participant=roster.participant_info(member)), but=[session.id]
    )
    elsewhere.refresh(conference, claims.room)
    if stays:
        session.gathers_at = conference.at.now + gathering.STAYS
    negotiation.open_peer(conference, session)
    migration.ask_again(conference, session)


def resume(conference: Conference, socket: Socket, message: m.Resume) -> None:
    """A known session on a new socket; a socket it still has is closed. Raises Refused."""
    _check_open(conference)
    key = _key(message.resume_token)  # looked up by hash, so that the time this takes tells nothing about those we know
    participant = conference.resumable.get(key)
    if participant is None:
        raise Refused("resume_failed", "This session cannot be resumed; join again.", field="resume_token")
    session = conference.sessions[participant]
    _limit(conference, socket, session.room, conference.rooms.participant(participant).identity)
    del conference.resumable[key]  # it works once
    old = session.socket
    session.step(Step.RESUMED)
    conference.detached.pop(session.id, None)
    conference.fading.pop(session.id, None)
    if old is not None:
        conference.dismiss(old, "taken_over", "The session goes on over another connection.", CloseCode.TAKEN_OVER)
    _bind(conference, session, socket)
    _welcome(conference, session, socket, resumed=True, request=message.request)
    media_reports.tell_lost_media(conference, session)
    migration.ask_again(conference, session)


def check(conference: Conference, socket: Socket, message: m.Check) -> None:
    """A pre-call test, for whoever may enter the room, be it locked or full just now. Raises Refused."""
    _check_open(conference)
    _check_welcome(conference, _verify(conference, socket, message.token))
    precall.begin(conference, socket, message)


def _check_open(conference: Conference) -> None:
    if conference.shutting_down:
        raise Refused("shutting_down", "This server is about to end.", close=CloseCode.RESTART)


def _verify(conference: Conference, socket: Socket, token: str) -> Claims:
    try:
        claims = conference.tokens.verify(token, conference.at.wall)
    except TokenError as error:
        raise Refused(error.code, str(error), field="token") from None
    _limit(conference, socket, claims.room, claims.identity)
    return claims


def _limit(conference: Conference, socket: Socket, room: RoomName, identity: Identity) -> None:
    """The token is good: from here on its holder is limited, and no longer the address that others may share."""
    holder = (room, identity)
    wait = conference.joins.take(holder, conference.at.now)
    if wait:
        conference.limited("joins_per_identity")
        raise Refused("rate_limited", "You join too often.", retry_after=wait, close=CloseCode.TRY_LATER)
    if not conference.connections.enter(holder):
        conference.limited("connections_per_identity")
        raise Refused("too_many_connections", "You have too many connections.", close=CloseCode.TRY_LATER)
    socket.holder = holder
    conference.do(Verified(socket.id))


def _check_door(conference: Conference, claims: Claims, flags: frozenset[str], *, free: bool) -> None:
    """Bans and removals hold for everybody; a lock not for moderators, and not for who comes back while inside."""
    _check_welcome(conference, claims)
    if "locked" in flags and not free:
        raise Refused("room_locked", "The room is locked.", close=CloseCode.TRY_LATER)


def _check_welcome(conference: Conference, claims: Claims) -> None:
    doors = conference.doors
    if doors.is_banned(claims.room, claims.identity):
        raise Refused("banned", "You may not enter this room.", close=CloseCode.REMOVED)
    if doors.is_removed(claims, conference.at.wall):
        raise Refused("removed", "You were removed from this room; ask for a new invitation.", close=CloseCode.REMOVED)


def check_space(conference: Conference, claims: Claims) -> None:
    """Refuse one more in a full room or on a full server. Raises Refused."""
    rules, rooms = conference.rules, conference.rooms
    replacing = rooms.by_identity(claims.room, claims.identity) is not None
    if claims.room not in rooms and len(rooms) >= rules.max_rooms:
        raise Refused("too_many_rooms", "This server hosts as many rooms as it may.", close=CloseCode.TRY_LATER)
    if rooms.size(claims.room) - replacing >= rules.max_participants_per_room:
        raise Refused("room_full", "The room is full.", close=CloseCode.TRY_LATER)


def _open_session(
    conference: Conference, socket: Socket, claims: Claims, id: ParticipantId, grant: Grant, *, wants_all: bool
) -> Session:
    session = Session(
        id=id,
        room=claims.room,
        grant=grant,
        wants_all=wants_all,
        claimed=claims.grant,
        token_expires=claims.expires,
        issued=claims.issued,
        chats=TokenBucket(conference.rules.chats, conference.at.now),
        offers=TokenBucket(conference.rules.offers, conference.at.now),
        metadata=TokenBucket(conference.rules.metadata, conference.at.now),
        recent_chat=deque(maxlen=conference.rules.recent_chat),
        entered_at=conference.at.now,
    )
    conference.sessions[session.id] = session
    _bind(conference, session, socket)
    return session


def _bind(conference: Conference, session: Session, socket: Socket) -> None:
    conference.strangers.pop(socket.id, None)
    socket.standing, socket.waiter = Standing.MEMBER, None
    socket.session = session.id
    session.socket = socket.id
    session.left_cleanly = False


def _welcome(
    conference: Conference, session: Session, socket: Socket, *, resumed: bool, request: str | m.UnsetType
) -> None:
    """The one snapshot with which a client begins, and a fresh resume token in place of the last one."""
    token = base64.urlsafe_b64encode(conference.random(RESUME_TOKEN_BYTES)).rstrip(b"=").decode()
    conference.resumable.pop(session.resume_key, None)
    session.resume_key = _key(token)
    conference.resumable[session.resume_key] = session.id
    missed = [said for at, said in session.recent_chat if at >= session.heard_at - ON_THE_WAY]
    session.heard_at = conference.at.now
    audio, video = session.receive
    conference.send(
        session,
        m.Welcome(
            participant=session.id,
            room=elsewhere.snapshot(conference, session.room),
            permissions=roster.permissions(session.grant),
            resume_token=token,
            resume_window=conference.rules.resume_window,
            resumed=resumed,
            url=socket.url,
            ice_servers=relays.servers_for(conference, session),
            receive=m.ReceiveSections(audio=audio, video=video),
            slots=roster.slots(session.slots),
            chat=missed,
            degraded=list(conference.degraded.values()),
            request=request,
        ),
    )
    speakers = conference.speakers.get(session.room)
    if speakers:
        conference.send(session, m.Speakers(speakers=speakers))
    if session.grant.admin:
        waiting.tell_all(conference, session)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
