"""What other instances say, put into effect here."""

from __future__ import annotations

from state.guard import CircuitState
from state.model import RoomName
from state.modes import Mode
from state.news import (
    CircuitMoved,
    Heard,
    JunkFound,
    ModeMoved,
    News,
    NodesChanged,
    Renamed,
    RoomChanged,
    SettingsHeard,
)
from state.settings import RoomSettings

from . import degradation, departure, elsewhere, gathering, moderation, moderators, publishing, roster, waiting
from . import messages as m
from .cluster import parse
from .commands import CloseCode, Logged
from .conference import Conference, Refused
from .door_words import Unreadable
from .tokens import Claims

# Seconds for which what holds in a room is kept after its last one went on elsewhere: there it has been heard by then.
LINGERS = 10.0
KNOCKS_AGAIN = 60.0  # seconds in which somebody who was let in too early, and sent out, may come back
HEARD_WITHIN = 0.8  # seconds after the first one came into a room in which we hear what holds there elsewhere


def take(conference: Conference, news: News) -> None:
    """Something about other instances, or about the way to them, is new."""
    match news:
        case RoomChanged(room):
            elsewhere.refresh(conference, room)
            _end_older_sessions(conference, room)
            gathering.look(conference, room)
            waiting.send_on(conference, room)
        case SettingsHeard(room, settings, late):
            _settings_heard(conference, room, settings, late=late)
        case Heard(room, payload):
            _heard(conference, room, payload)
        case ModeMoved():
            _mode_moved(conference, news)
        case Renamed(before, after):
            text = f"Another process holds the node id {before}; this instance goes on as {after}"
            conference.do(Logged("critical", text))
        case CircuitMoved(moved) if CircuitState.CLOSED in (moved.before, moved.after):
            text = f"Circuit to redis: {moved.before.value} -> {moved.after.value} ({moved.reason})"
            conference.do(Logged("info", text))
        case JunkFound(why, count):
            text = (
                f"Redis holds under our keys what no instance of this version writes; ignored {count}, the last: {why}"
            )
            conference.do(Logged("warning", text))
        case CircuitMoved() | NodesChanged():
            pass  # a trial that failed changes nothing


def _mode_moved(conference: Conference, news: ModeMoved) -> None:
    change = news.change
    if change.mode is not Mode.CLUSTERED:
        if change.announced:
            degradation.begin(
                conference, "redis", change.mode.value, change.reason, change.since, degradation.STANDALONE
            )
        return
    was_told = "redis" in conference.degraded
    gathering.begin_anew(conference)
    for room in list(conference.rooms.names()):
        if was_told and (room in news.rooms or room in conference.shown):
            elsewhere.replace(conference, room, "reconciled")
        else:
            elsewhere.refresh(conference, room)
        _end_older_sessions(conference, room)
    degradation.over(conference, "redis", degradation.TOGETHER_AGAIN)


def _end_older_sessions(conference: Conference, room: RoomName) -> None:
    """Of two sessions of one identity the newer stays; the owner of the older ends it.

    One that was asked to go on elsewhere is doing just that, and leaves by itself when everything plays there.
    """
    for one in conference.cluster.elsewhere(room):
        ours = conference.rooms.by_identity(room, one.participant.identity)
        if ours is None or one.unknown:
            continue
        member = conference.rooms.participant(ours)
        session = conference.sessions[ours]
        if one.participant.recency <= member.recency or session.moves_until >= conference.at.now:
            continue
        if not session.is_known_newer and conference.at.now - session.entered_at < HEARD_WITHIN:
            # It came before we could know of the other: that one is older, even if its instance's clock is ahead.
            session.is_known_newer = True
            conference.rooms.rejoin(ours, conference.cluster.clock(room) + 1)
        else:
            conference.conflicted("identity", 1)
            departure.replaced(conference, session)
            if room not in conference.rooms:
                conference.left_behind[room] = conference.at.now + LINGERS


def _settings_heard(conference: Conference, room: RoomName, settings: RoomSettings, *, late: bool) -> None:
    """Another instance says what holds in a room: merge it, and see to it that it does hold here.

    `late`: perhaps it held already before the first one came in here.
    """
    doors = conference.doors
    if room not in conference.rooms and not doors.of(room) and not settings.lasting:
        return
    if room not in conference.rooms:
        settings = settings.lasting_only()
    before, apart, incarnation = doors.rules(room), doors.of(room).conflicts_by_kind(), doors.of(room).incarnation
    try:
        if not doors.adopt(room, settings):
            return
    except Unreadable as error:
        conference.do(Logged("warning", f"What is said to hold in room {room!r} elsewhere cannot be read: {error}"))
        return
    for kind, count in (doors.of(room).conflicts_by_kind() - apart).items():
        conference.conflicted(kind, count)
    if doors.has_ended(room, incarnation):
        moderation.send_all_out(conference, room)
        return
    for waiter in waiting.of_room(conference, room):
        if doors.is_banned(room, waiter.claims.identity):
            waiting.send_away(conference, waiter, "banned", waiting.BANNED)
    now = conference.at.now
    shut = doors.rules(room).flags - before.flags if late and _has_just_opened(conference, room) else frozenset()
    for session in list(conference.members(room)):
        member = conference.rooms.participant(session.id)
        claims = Claims(room, member.identity, member.name, session.claimed, session.token_expires, session.issued)
        if doors.is_banned(room, member.identity):
            moderation.send_banned(conference, session)
        elif doors.is_removed(claims, conference.at.wall):
            moderation.send_removed(conference, session)
        elif shut and not (session.grant.admin or conference.cluster.is_inside(room, member.identity, shut)):
            text = "The moderators of this room decide who may enter, and had not let you in."
            departure.send_out(conference, session, "room_locked", text, CloseCode.TRY_LATER)
            conference.cluster.watch(room, now + KNOCKS_AGAIN, now)  # who knocks again is sent to where moderators are
        else:
            grant = doors.grant_of(claims)
            if grant != session.grant:
                conference.send(session, m.PermissionsChanged(permissions=roster.permissions(grant), by="admin"))
                publishing.permit(conference, session, grant)
    if doors.rules(room) != before:
        conference.tell_room(room, roster.room_updated(doors.rules(room)))


def _has_just_opened(conference: Conference, room: RoomName) -> bool:
    """Whether nobody has been in a room here for longer than it takes to hear what holds there. Who came while that
    could not be heard is in: no call ends because of the store."""
    now = conference.at.now
    fresh = all(now - session.entered_at < HEARD_WITHIN for session in conference.members(room))
    return room in conference.rooms and fresh


# ------------------------------------------------------------------------------------------------------------- talk


def _heard(conference: Conference, room: RoomName, payload: str) -> None:
    found = parse(payload)
    if found is None or room not in conference.rooms:
        return
    topic, by, text = found
    try:
        if topic == "chat":
            message = m.parse_server_message(text)
            if isinstance(message, m.ChatMessage):
                to = message.to
                hearers = [one for one in conference.members(room) if to is m.UNSET or one.id == to]
                conference.deliver(hearers, message)
        elif topic == "ask":
            moderators.carry_out(conference, room, by, m.parse_client_message(text))
    except (m.MessageError, Refused):
        return  # whom it was about left meanwhile, or another version of us says it in other words
