"""The people of a room at other instances, as members are told of them, and what their instances can be asked.

What clients were told of others is kept, and told anew as the difference when anything changes: so it does not matter
which news came in which order, or were lost. An identity is shown once: the session that is here, else the newest.
"""

from __future__ import annotations

from state.model import ParticipantId, RoomName, TrackId
from state.view import Remote

from . import messages as m
from . import roster
from .conference import Conference, Refused

RETRY_AFTER = 5.0  # seconds; a store that is back is noticed within a few

# ------------------------------------------------------------------------------------------------------ who is shown


def shown(conference: Conference, room: RoomName) -> dict[ParticipantId, m.ParticipantInfo]:
    """The people of a room at other instances, as members are told of them."""
    newest: dict[str, Remote] = {}
    for one in conference.cluster.elsewhere(room):
        member = one.participant
        if conference.rooms.by_identity(room, member.identity) is not None:
            continue
        rival = newest.get(member.identity)
        if rival is None or rival.participant.recency < member.recency:
            newest[member.identity] = one
    return {
        one.participant.id: roster.participant_info(one.participant, "unknown" if one.unknown else "elsewhere")
        for one in newest.values()
    }


def refresh(conference: Conference, room: RoomName) -> None:
    """Tell members what is new of the people at other instances."""
    before = conference.shown.get(room, {})
    after = shown(conference, room) if room in conference.rooms else {}
    if after:
        conference.shown[room] = after
    else:
        conference.shown.pop(room, None)
    if before == after or room not in conference.rooms:
        return
    for id in before.keys() - after.keys():
        here = conference.rooms.by_identity(room, before[id].identity) is not None  # type: ignore[arg-type]
        conference.tell_room(room, m.ParticipantLeft(participant=id, reason="migrated" if here else "left"))
    for id, info in after.items():
        if id not in before:
            conference.tell_room(room, m.ParticipantJoined(participant=info))
        else:
            _tell_differences(conference, room, before[id], info)


def _tell_differences(
    conference: Conference, room: RoomName, before: m.ParticipantInfo, after: m.ParticipantInfo
) -> None:
    if (before.name, before.presence) != (after.name, after.presence):
        conference.tell_room(room, m.ParticipantJoined(participant=after))  # replaces what is known of it
        return
    old, new = ({track.id: track for track in info.tracks} for info in (before, after))
    for id in old.keys() - new.keys():
        conference.tell_room(room, m.TrackUnpublished(participant=after.id, track=id))
    for id, track in new.items():
        if id not in old:
            conference.tell_room(room, m.TrackPublished(participant=after.id, track=track))
        elif old[id].muted != track.muted:
            conference.tell_room(room, m.TrackMuted(participant=after.id, track=id, muted=track.muted))


def snapshot(conference: Conference, room: RoomName) -> m.RoomSnapshot:
    """A room with all who are known to be in it, here and elsewhere."""
    others = shown(conference, room).values()
    return roster.room_snapshot(conference.rooms.room(room), conference.doors.rules(room), others)


def replace(conference: Conference, room: RoomName, reason: str) -> None:
    """Tell members anew who is in their room, all at once."""
    conference.shown.pop(room, None)
    others = shown(conference, room)
    if others:
        conference.shown[room] = others
    conference.tell_room(room, m.RoomReplaced(room=snapshot(conference, room), reason=reason))


# ------------------------------------------------------------------------------------- what their instances are asked


def owner_of(conference: Conference, room: RoomName, track: TrackId) -> ParticipantId | None:
    """Who publishes a track at another instance."""
    for one in conference.cluster.elsewhere(room):
        if track in one.participant.tracks:
            return one.participant.id
    return None


def ask(conference: Conference, room: RoomName, participant: ParticipantId, by: str, message: m.Request) -> bool:
    """Have the instance of a participant carry something out; False if nobody knows the participant elsewhere.

    Raises Refused: `elsewhere_unreachable`.
    """
    found = conference.cluster.find(room, participant)
    if found is None:
        return False
    if found.unknown or not conference.cluster.say(room, "ask", m.dump(message), conference.name_of(by), found.node):
        raise _unreachable("participant")
    return True


def whisper(conference: Conference, room: RoomName, to: Remote, said: m.ChatMessage) -> None:
    """Have somebody hear what is for nobody else. Raises Refused: `elsewhere_unreachable`."""
    if to.unknown or not conference.cluster.say(room, "chat", m.dump(said), said.sender, to.node):
        raise _unreachable("to")


def _unreachable(field: str) -> Refused:
    text = "The server of this participant cannot be reached just now. Try again when it can."
    return Refused("elsewhere_unreachable", text, field=field, retry_after=RETRY_AFTER)
