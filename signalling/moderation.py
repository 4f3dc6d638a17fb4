"""What a moderator may do: mute, remove, ban, lock, change permissions, and open the door to those who wait.

Each verb is pure and says nothing about who may call it: a member's request is checked in moderators.py, the operator's
in the admin API, which calls them through `Server.act`. `by` is the participant id of the moderator, or a name if
that one is not here: an identity at another instance, or a word such as `admin`. Those concerned are told it; the log
names everybody by identity. A verb that raises Refused has changed nothing. It is all the same to every verb whether
whom it names has a socket now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from state.model import Identity, ParticipantId, RoomName, Source, TrackId

from . import departure, elsewhere, entrance, publishing, relays, roster, waiting
from . import messages as m
from .commands import CloseCode, Record
from .conference import Conference, Refused
from .session import Session

# ------------------------------------------------------------------------------------------------ one participant


def mute(conference: Conference, room: RoomName, participant: ParticipantId, track: TrackId | None, by: str) -> None:
    """Forward nothing of a track (None: of all tracks) until its owner unmutes it.

    Raises Refused: `unknown_participant`, `unknown_track`.
    """
    if participant not in conference.sessions:
        found = conference.cluster.find(room, participant)
        tracks = [] if found is None else list(found.participant.tracks)
        asked = [
            elsewhere.ask(conference, room, participant, by, m.MuteTrack(track=one))
            for one in (tracks if track is None else [track])
        ]
        if any(asked):
            return
    session = _member(conference, room, participant)
    published = list(session.published.values())
    if track is not None and track not in published:
        raise Refused("unknown_track", "This participant publishes no such track.", field="track")
    for one in published if track is None else [track]:
        publishing.silence(conference, session, one, by)
    _record(conference, "mute", room, by, conference.rooms.participant(participant).identity)


def remove(conference: Conference, room: RoomName, participant: ParticipantId, by: str, reason: str = "") -> None:
    """Send somebody out; no token that was issued before lets this identity in again. `reason` is told to it.

    Raises Refused: `unknown_participant`.
    """
    wish = m.Remove(participant=participant, reason=reason)
    if participant not in conference.sessions and elsewhere.ask(conference, room, participant, by, wish):
        return
    session = _member(conference, room, participant)
    identity = conference.rooms.participant(participant).identity
    conference.doors.remove(room, identity, conference.at.wall, session.token_expires)
    send_removed(conference, session, reason)
    _record(conference, "remove", room, by, identity)


def send_removed(conference: Conference, session: Session, reason: str = "") -> None:
    """Send somebody out whose tokens are refused from now on."""
    departure.send_out(conference, session, "removed", reason or "You were removed.", CloseCode.REMOVED)


def set_permissions(
    conference: Conference,
    room: RoomName,
    participant: ParticipantId,
    by: str,
    *,
    publish: Collection[Source] | None = None,
    subscribe: bool | None = None,
    chat: bool | None = None,
    admin: bool | None = None,
) -> None:
    """Change what a member may do, at once; None leaves it as it is. Raises Refused: `unknown_participant`."""
    if participant not in conference.sessions:
        wish = m.SetPermissions(
            participant=participant,
            publish=m.UNSET if publish is None else list(publish),
            subscribe=m.UNSET if subscribe is None else subscribe,
            chat=m.UNSET if chat is None else chat,
            admin=m.UNSET if admin is None else admin,
        )
        if elsewhere.ask(conference, room, participant, by, wish):
            return
    session = _member(conference, room, participant)
    before = session.grant
    grant = replace(
        before,
        publish=before.publish if publish is None else frozenset(publish),
        subscribe=before.subscribe if subscribe is None else subscribe,
        chat=before.chat if chat is None else chat,
        admin=before.admin if admin is None else admin,
    )
    identity = conference.rooms.participant(participant).identity
    conference.doors.change_grant(room, identity, grant, conference.at.wall)
    conference.send(session, m.PermissionsChanged(permissions=roster.permissions(grant), by=by))
    publishing.permit(conference, session, grant)
    if grant.admin and not before.admin:
        waiting.tell_all(conference, session)
    _record(conference, "set_permissions", room, by, identity)


# ------------------------------------------------------------------------------------------------- one identity


def ban(conference: Conference, room: RoomName, identity: Identity, by: str, reason: str = "") -> None:
    """Let an identity in no more until `unban`; if it is in the room or waits, it is sent out. Never refused."""
    conference.doors.ban(room, identity)
    inside = conference.rooms.by_identity(room, identity)
    if inside is not None:
        send_banned(conference, conference.sessions[inside], reason)
    for waiter in waiting.of_room(conference, room):
        if waiter.claims.identity == identity:
            waiting.send_away(conference, waiter, "banned", waiting.BANNED)
    _record(conference, "ban", room, by, identity)


def send_banned(conference: Conference, session: Session, reason: str = "") -> None:
    """Send somebody out who may not come in any more."""
    text = reason or "You may not enter this room any more."
    departure.send_out(conference, session, "banned", text, CloseCode.REMOVED)


def unban(conference: Conference, room: RoomName, identity: Identity, by: str) -> None:
    """Let a banned identity in again. Raises Refused: `not_banned`."""
    if not conference.doors.unban(room, identity):
        raise Refused("not_banned", "This identity is not banned from this room.", field="identity")
    _record(conference, "unban", room, by, identity)


# ------------------------------------------------------------------------------------------------------ the door


def lock(conference: Conference, room: RoomName, by: str) -> None:
    """Let nobody new in but moderators. Raises Refused: `unknown_room` while nobody is in it."""
    _set(conference, room, "lock", by, locked=True)


def unlock(conference: Conference, room: RoomName, by: str) -> None:
    """End a lock. Raises Refused: `unknown_room`."""
    _set(conference, room, "unlock", by, locked=False)


def end_room(conference: Conference, room: RoomName, by: str) -> None:
    """Send everybody out who is in the room or waits for it; their tokens stay good. Raises Refused: `unknown_room`."""
    if room not in conference.rooms and not waiting.of_room(conference, room):
        raise Refused("unknown_room", "Nobody is in this room.", field="room")
    conference.doors.end(room, conference.at.wall)
    send_all_out(conference, room)
    _record(conference, "end_room", room, by)


def send_all_out(conference: Conference, room: RoomName) -> None:
    """Send everybody out, and away who waits."""
    for waiter in waiting.of_room(conference, room):
        waiting.send_away(conference, waiter, "denied", waiting.ROOM_ENDED)
    for session in list(conference.members(room)):
        departure.send_out(conference, session, "room_ended", "This room was ended.", CloseCode.REMOVED)


def set_metadata(conference: Conference, room: RoomName, fields: Mapping[str, str | None], by: str) -> None:
    """Change what is written at the room. Raises Refused: `unknown_room`, `too_much_metadata`."""
    if room not in conference.rooms:
        raise Refused("unknown_room", "Nobody is in this room.", field="room")
    changed = conference.doors.set_metadata(room, fields)
    if changed is None:
        raise Refused("too_much_metadata", f"A room has at most {m.MAX_METADATA_FIELDS} fields.", field="metadata")
    if changed:
        conference.tell_room(room, roster.room_updated(conference.doors.rules(room)))
    _record(conference, "set_metadata", room, by)


def set_waiting_room(conference: Conference, room: RoomName, on: bool, by: str) -> None:
    """Have everybody new but moderators wait until admitted, or no longer. Raises Refused: `unknown_room`."""
    _set(conference, room, "waiting_room_on" if on else "waiting_room_off", by, waiting_room=on)


def admit(conference: Conference, room: RoomName, participant: ParticipantId, by: str) -> None:
    """Let somebody in who waits, even into a locked room.

    Raises Refused: `unknown_participant`, `turn_unavailable`, `room_full`, `too_many_rooms`.
    """
    waiter = waiting.waiter_in(conference, room, participant)
    claims = waiter.claims
    if waiter.relay_only:
        try:
            relays.check_relay(conference, f"{claims.name} connects", field="participant")
        except Refused as refused:
            conference.reply(waiter.socket, m.Notice(code=refused.code, level="warning", message=waiting.NO_RELAY))
            raise
    entrance.check_space(conference, claims)
    waiting.forget(conference, waiter.id, "admitted")
    socket = conference.sockets[waiter.socket]
    entrance.enter(conference, socket, claims, waiter.id, wants_all=waiter.wants_all, stays=waiter.stays)
    _record(conference, "admit", room, by, claims.identity)


def deny(conference: Conference, room: RoomName, participant: ParticipantId, by: str) -> None:
    """Send somebody away who waits. Raises Refused: `unknown_participant`."""
    waiter = waiting.waiter_in(conference, room, participant)
    waiting.send_away(conference, waiter, "denied", waiting.DENIED)
    _record(conference, "deny", room, by, waiter.claims.identity)


def _set(
    conference: Conference,
    room: RoomName,
    action: str,
    by: str,
    *,
    locked: bool | None = None,
    waiting_room: bool | None = None,
) -> None:
    if room not in conference.rooms:
        raise Refused("unknown_room", "Nobody is in this room.", field="room")
    if conference.doors.set(room, locked=locked, waiting_room=waiting_room):
        conference.tell_room(room, roster.room_updated(conference.doors.rules(room)))
    _record(conference, action, room, by)


def _member(conference: Conference, room: RoomName, participant: ParticipantId) -> Session:
    session = conference.sessions.get(participant)
    if session is None or session.room != room:
        raise Refused("unknown_participant", "There is no such participant in this room.", field="participant")
    return session


def _record(conference: Conference, action: str, room: RoomName, by: str, whom: Identity | None = None) -> None:
    """Remember who did what to whom, both by identity, which stays when sessions end."""
    conference.do(Record(action, room, conference.name_of(by), whom or ""))
