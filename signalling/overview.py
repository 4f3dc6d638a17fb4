"""What an operator is told about the rooms of this instance, and about their people at others."""

from __future__ import annotations

from typing import Any

from state.model import Participant, RoomName
from state.view import Remote

from . import waiting
from .conference import Conference, Refused

Told = dict[str, Any]


def rooms(conference: Conference, after: str, limit: int) -> Told:
    """At most `limit` rooms in the order of their names, beginning behind `after`; `next` is where to go on."""
    names = sorted(name for name in conference.rooms.names() if name > after)
    page = names[:limit]
    return {
        "rooms": [_summary(conference, name) for name in page],
        "next": page[-1] if len(names) > limit else None,
    }


def room(conference: Conference, name: RoomName) -> Told:
    """All about one room. Raises Refused: `unknown_room` if nobody is in it, waits for it or is banned from it."""
    waiters = waiting.of_room(conference, name)
    banned = conference.doors.banned(name)
    if name not in conference.rooms and not waiters and not banned:
        raise Refused("unknown_room", "There is no such room on this instance.")
    return _rules(conference, name) | {
        "name": name,
        "participants": [
            *(_participant(conference, member) for member in conference.rooms.room(name).participants),
            *(_elsewhere(one) for one in conference.cluster.elsewhere(name)),
        ],
        "waiting": [
            {
                "id": one.id,
                "identity": one.claims.identity,
                "name": one.claims.name,
                "until": conference.at.wall_of(one.deadline),
            }
            for one in waiters
        ],
        "banned": list(banned),
    }


def _summary(conference: Conference, name: RoomName) -> Told:
    members = conference.rooms.room(name).participants
    return _rules(conference, name) | {
        "name": name,
        "participants": len(members),
        "elsewhere": len(conference.cluster.elsewhere(name)),
        "tracks": sum(len(member.tracks) for member in members),
        "waiting": len(waiting.of_room(conference, name)) if conference.waiting else 0,
    }


def _rules(conference: Conference, name: RoomName) -> Told:
    rules = conference.doors.rules(name)
    return {"locked": rules.locked, "waiting_room": rules.waiting_room, "metadata": dict(rules.metadata)}


def _participant(conference: Conference, member: Participant) -> Told:
    session = conference.sessions[member.id]
    grant = session.grant
    return _member(member, "here", conference.cluster.node) | {
        "connected": session.socket is not None,
        "media": session.peer_state,
        "permissions": {
            "publish": sorted(grant.publish),
            "subscribe": grant.subscribe,
            "chat": grant.chat,
            "admin": grant.admin,
        },
    }


def _elsewhere(one: Remote) -> Told:
    """Somebody at another instance, which alone knows the rest."""
    unknown = {"connected": None, "media": None, "permissions": None}
    return _member(one.participant, "unknown" if one.unknown else "elsewhere", one.node) | unknown


def _member(member: Participant, presence: str, node: str) -> Told:
    return {
        "id": member.id,
        "identity": member.identity,
        "name": member.name,
        "presence": presence,
        "node": node,
        "tracks": [
            {"id": track.id, "kind": track.kind, "source": track.source, "muted": track.muted}
            for track in member.tracks.values()
        ],
    }
