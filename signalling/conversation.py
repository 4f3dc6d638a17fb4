"""What a member may ask for beside media negotiation: subscriptions, mute, chat, ping."""

from __future__ import annotations

from sfu import media_plane as media
from state.model import ParticipantId, TrackId

from . import commands, elsewhere, publishing
from . import messages as m
from .conference import Conference, Refused
from .session import Session, Socket


def subscribe(conference: Conference, session: Session, socket: Socket, message: m.Subscribe) -> None:
    """Receive single tracks. All or none: one unknown track refuses the request. Raises Refused."""
    if not session.grant.subscribe:
        raise Refused("permission_denied", "You are not allowed to receive media.")
    for index, track in enumerate(message.tracks):
        known = conference.rooms.track_in(session.room, TrackId(track))
        if known is None and elsewhere.owner_of(conference, session.room, TrackId(track)) is not None:
            raise Refused("elsewhere", "Its publisher is at another server.", field=f"tracks[{index}]")
        if known is None or conference.rooms.owner_of(known.id) == session.id:
            raise Refused("unknown_track", "Nobody else in this room publishes this track.", field=f"tracks[{index}]")
    fresh = [track for track in dict.fromkeys(message.tracks) if TrackId(track) not in session.subscribed]
    session.subscribed.update((TrackId(track), None) for track in fresh)
    if fresh and session.peer is not None:
        conference.do(commands.Subscribe(session.peer, tuple(map(media.TrackId, fresh))))
    conference.done(socket.id, message)


def unsubscribe(conference: Conference, session: Session, socket: Socket, message: m.Unsubscribe) -> None:
    """Receive single tracks no longer; what was not subscribed to is ignored."""
    wanted = [track for track in dict.fromkeys(message.tracks) if TrackId(track) in session.subscribed]
    for track in wanted:
        del session.subscribed[TrackId(track)]
    if wanted and session.peer is not None:
        conference.do(commands.Unsubscribe(session.peer, tuple(map(media.TrackId, wanted))))
    conference.done(socket.id, message)


def mute(conference: Conference, session: Session, socket: Socket, message: m.Mute | m.Unmute) -> None:
    """Stop one's own track for everybody, or let it flow again. Raises Refused."""
    track = TrackId(message.track)
    if conference.rooms.owner_of(track) != session.id:
        raise Refused("unknown_track", "You publish no such track.", field="track")
    session.silenced.discard(track)
    publishing.set_muted(conference, session, track, muted=isinstance(message, m.Mute))
    conference.done(socket.id, message)


def chat(conference: Conference, session: Session, socket: Socket, message: m.Chat) -> None:
    """Say something to the room or to one participant; the sender gets it back as the reply. Raises Refused.

    What is for one participant is refused if that one is at another instance that cannot be reached.
    """
    if not session.grant.chat:
        raise Refused("permission_denied", "You are not allowed to chat.")
    away = None if message.to is m.UNSET else conference.cluster.find(session.room, ParticipantId(message.to))
    if message.to is m.UNSET:
        hearers = [other for other in conference.members(session.room) if other is not session]
    elif away is not None:
        hearers = []
    else:
        other = conference.sessions.get(ParticipantId(message.to))
        if other is None or other.room != session.room:
            raise Refused("unknown_participant", "There is no such participant in this room.", field="to")
        hearers = [other] if other is not session else []
    wait = session.chats.take(conference.at.now)
    if wait:
        conference.limited("chats_per_session")
        raise Refused("rate_limited", "You chat faster than allowed.", retry_after=wait)
    said = m.ChatMessage(
        id=conference.new_id("m"),
        sender=session.id,
        name=conference.rooms.participant(session.id).name,
        text=message.text,
        at=conference.at.wall,
        to=message.to,
        request=message.request,
    )
    heard = m.ChatMessage(id=said.id, sender=said.sender, name=said.name, text=said.text, at=said.at, to=said.to)
    if away is not None:
        elsewhere.whisper(conference, session.room, away, heard)
    elif message.to is m.UNSET:  # whom it cannot reach elsewhere, it does not: the room goes on without
        conference.cluster.say(session.room, "chat", m.dump(heard), session.id)
    conference.reply(socket.id, said)
    session.recent_chat.append((conference.at.now, heard))
    conference.deliver(hearers, heard)


def ping(conference: Conference, socket: Socket, message: m.Ping) -> None:
    """Answer."""
    conference.reply(socket.id, m.Pong(request=message.request))
