"""What a moderator in the room asks for: checks that it is one, and carries it out with the verbs of moderation.py."""

from __future__ import annotations

from state.model import Identity, ParticipantId, RoomName, TrackId

from . import elsewhere, moderation
from . import messages as m
from .conference import Conference, Refused
from .session import Session, Socket


def ask(conference: Conference, session: Session, socket: Socket, message: m.Request) -> None:
    """Do what a moderator wants. Raises Refused."""
    if not session.grant.admin:
        raise Refused("permission_denied", "Only moderators may do that.", field="type")
    if isinstance(message, m.SetMetadata):
        wait = session.metadata.take(conference.at.now)
        if wait:
            conference.limited("metadata_per_session")
            raise Refused("rate_limited", "You change what is written here faster than allowed.", retry_after=wait)
    carry_out(conference, session.room, session.id, message)
    conference.done(socket.id, message)


def carry_out(conference: Conference, room: RoomName, by: str, message: m.Request) -> None:
    """Do what a moderator wants, here or at another instance. Raises Refused."""
    match message:
        case m.MuteTrack(track=track):
            here = conference.rooms.track_in(room, TrackId(track)) is not None
            owner = (
                conference.rooms.owner_of(TrackId(track))
                if here
                else elsewhere.owner_of(conference, room, TrackId(track))
            )
            if owner is None:
                raise Refused("unknown_track", "Nobody in this room publishes this track.", field="track")
            moderation.mute(conference, room, owner, TrackId(track), by)
        case m.Remove(participant=participant, reason=reason):
            moderation.remove(conference, room, ParticipantId(participant), by, reason)
        case m.Ban(reason=reason):
            moderation.ban(conference, room, _whom(conference, room, message), by, reason)
        case m.Unban(identity=identity):
            moderation.unban(conference, room, Identity(identity), by)
        case m.Lock():
            moderation.lock(conference, room, by)
        case m.Unlock():
            moderation.unlock(conference, room, by)
        case m.WaitingRoom(on=on):
            moderation.set_waiting_room(conference, room, on, by)
        case m.SetPermissions(participant=participant):
            moderation.set_permissions(
                conference,
                room,
                ParticipantId(participant),
                by,
                publish=None if message.publish is m.UNSET else message.publish,
                subscribe=None if message.subscribe is m.UNSET else message.subscribe,
                chat=None if message.chat is m.UNSET else message.chat,
                admin=None if message.admin is m.UNSET else message.admin,
            )
        case m.Admit(participant=participant):
            moderation.admit(conference, room, ParticipantId(participant), by)
        case m.Deny(participant=participant):
            moderation.deny(conference, room, ParticipantId(participant), by)
        case m.SetMetadata(metadata=metadata):
            moderation.set_metadata(conference, room, metadata, by)


def _whom(conference: Conference, room: RoomName, message: m.Ban) -> Identity:
    """The identity that a ban names, by itself or by a participant or waiter. Raises Refused."""
    if message.identity is not m.UNSET:
        return Identity(message.identity)
    if message.participant is m.UNSET:
        raise Refused("invalid_message", "Name a participant or an identity.", field="participant")
    participant = ParticipantId(message.participant)
    session = conference.sessions.get(participant)
    if session is not None and session.room == room:
        return conference.rooms.participant(participant).identity
    other = conference.cluster.find(room, participant)
    if other is not None:
        return other.participant.identity
    waiter = conference.waiting.get(participant)
    if waiter is not None and waiter.claims.room == room:
        return waiter.claims.identity
    raise Refused("unknown_participant", "There is no such participant in this room.", field="participant")
