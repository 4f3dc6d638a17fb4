"""The admin API: what operators may do to rooms and people, as thin HTTP over the verbs of moderation.py.

The path is taken apart before it is decoded, for a room and an identity may hold any printable character.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from state.model import Identity, ParticipantId, RoomName, TrackId

from . import messages as m
from . import moderation, overview
from .conference import Conference, Refused
from .gates import Gate, guarded
from .keys import MAX_NAME
from .responses import MAX_BODY, NO_HEADERS, BodyError, answer, json_object, later, problem
from .server import Server
from .tokens import SOURCES

log = logging.getLogger(__name__)

BASE = "/api/rooms"
BY = "admin"  # what those concerned are told
MAX_PAGE = 1000
MAX_REASON = 200  # characters
MAX_METADATA_BODY = 65536  # bytes: of the largest metadata that a room takes, and a little more
STATUS = {"invalid_request": 400, "no_such_endpoint": 404, "unknown_room": 404, "not_banned": 404} | {
    "unknown_participant": 404,
    "unknown_track": 404,
    "room_full": 409,
    "too_many_rooms": 409,
    "unknown_dependency": 404,
    "elsewhere_unreachable": 503,
    "turn_unavailable": 503,
}
_JWT = re.compile(r"ey[\w-]{4,}\.[\w-]+\.[\w-]*")

Act = Callable[[Conference], Any]  # returns what to answer, or None


class Admin:
    """The endpoints under /api/rooms."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self, gate: Gate) -> list[BaseRoute]:
        """Their places, for those whom `gate` lets in."""
        methods = ["GET", "POST", "PUT", "DELETE"]
        endpoint = guarded(gate, self._serve)
        return [Route(BASE, endpoint, methods=methods), Route(BASE + "/{rest:path}", endpoint, methods=methods)]

    async def _serve(self, request: Request) -> Response:
        try:
            path = _segments(request)
            most = MAX_METADATA_BODY if path[1:] == ("metadata",) else MAX_BODY
            body = await json_object(request, optional=True, most=most)
            response = self._do(act_for(request.method, path, request.query_params, body))
        except BodyError as error:
            response = error.response
        except Refused as refused:
            response = refusal(refused)
        log_request(request, response)
        return response

    def _do(self, act: Act) -> Response:
        told: list[Any] = []
        self._server.act(lambda conference: told.append(act(conference)))
        return Response(status_code=204, headers={"Cache-Control": "no-store"}) if told[0] is None else answer(told[0])


def refusal(refused: Refused) -> Response:
    """How a refusal is told over HTTP."""
    headers = NO_HEADERS if refused.retry_after is None else later(refused.retry_after)
    return problem(STATUS.get(refused.code, 400), refused.code, str(refused), headers)


def log_request(request: Request, response: Response) -> None:
    """Write to the log who asked for what."""
    where = _JWT.sub("…", request.url.path)[:300]
    client = request.client.host if request.client else ""
    log.info(
        "Admin API: %s %r by %r from %s: %d", request.method, where, request.state.asker, client, response.status_code
    )


def _segments(request: Request) -> tuple[str, ...]:
    """What stands behind /api/rooms, each part decoded by itself. Raises Refused."""
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    parts = raw.split(b"/")[3:]
    try:
        names = tuple(unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        raise Refused("invalid_request", "The path is not UTF-8.") from None
    if not all(len(name) <= MAX_NAME and name.isprintable() for name in names):
        raise Refused("invalid_request", f"Names have at most {MAX_NAME} printable characters.")
    return names


def act_for(method: str, path: tuple[str, ...], query: Mapping[str, str], body: Mapping[str, Any]) -> Act:
    """What is asked for. Raises Refused."""
    match (method, *path):
        case ("GET",):
            after, limit = query.get("after", ""), _limit(query.get("limit", "100"))
            return lambda conference: overview.rooms(conference, after, limit)
        case ("GET", room):
            return lambda conference: overview.room(conference, RoomName(room))
        case ("DELETE", room):
            return lambda conference: moderation.end_room(conference, RoomName(room), BY)
        case ("POST", room, "lock"):
            return lambda conference: moderation.lock(conference, RoomName(room), BY)
        case ("POST", room, "unlock"):
            return lambda conference: moderation.unlock(conference, RoomName(room), BY)
        case ("PUT", room, "metadata"):
            written = _metadata(body)
            return lambda conference: moderation.set_metadata(
                conference, RoomName(room), dict.fromkeys(conference.doors.rules(RoomName(room)).metadata) | written, BY
            )
        case ("POST", room, "metadata"):
            written = _metadata(body)
            return lambda conference: moderation.set_metadata(conference, RoomName(room), written, BY)
        case ("POST", room, "waiting-room"):
            on = _flag(body, "on")
            if on is None:
                raise Refused("invalid_request", "Say whether the waiting room is `on`.")
            return lambda conference: moderation.set_waiting_room(conference, RoomName(room), on, BY)
        case ("POST", room, "waiting", identity, "admit"):
            return lambda conference: moderation.admit(
                conference, RoomName(room), _waiter(conference, room, identity), BY
            )
        case ("POST", room, "waiting", identity, "deny"):
            return lambda conference: moderation.deny(
                conference, RoomName(room), _waiter(conference, room, identity), BY
            )
        case ("DELETE", room, "bans", identity):
            return lambda conference: moderation.unban(conference, RoomName(room), Identity(identity), BY)
        case ("DELETE", room, "participants", identity):
            reason = query.get("reason", "")[:MAX_REASON]
            if query.get("ban", "0") not in ("0", "1"):
                raise Refused("invalid_request", "`ban` is 0 or 1.")
            if query.get("ban") == "1":
                return lambda conference: moderation.ban(conference, RoomName(room), Identity(identity), BY, reason)
            return lambda conference: moderation.remove(
                conference, RoomName(room), _member(conference, room, identity), BY, reason
            )
        case ("POST", room, "participants", identity, "mute"):
            track = body.get("track")
            if track is not None and not isinstance(track, str):
                raise Refused("invalid_request", "`track` is the id of a track, or left out for all.")
            return lambda conference: moderation.mute(
                conference, RoomName(room), _member(conference, room, identity), TrackId(track) if track else None, BY
            )
        case ("POST", room, "participants", identity, "permissions"):
            wish = _permissions(body)
            return lambda conference: moderation.set_permissions(
                conference, RoomName(room), _member(conference, room, identity), BY, **wish
            )
    raise Refused("no_such_endpoint", "There is no such endpoint in the admin API.")


def _member(conference: Conference, room: str, identity: str) -> ParticipantId:
    """The session of somebody here, else the newest at another instance. Raises Refused."""
    found = conference.rooms.by_identity(RoomName(room), Identity(identity))
    if found is None:
        other = conference.cluster.by_identity(RoomName(room), Identity(identity))
        if other is not None:
            return other.participant.id
        raise Refused("unknown_participant", "Nobody with this identity is in this room.")
    return found


def _waiter(conference: Conference, room: str, identity: str) -> ParticipantId:
    for waiter in conference.waiting.values():
        if (waiter.claims.room, waiter.claims.identity) == (room, identity):
            return waiter.id
    raise Refused("unknown_participant", "Nobody with this identity waits for this room.")


def _metadata(body: Mapping[str, Any]) -> dict[str, str | None]:
    if not body:
        return {}
    try:
        wish = m.parse_client_message(json.dumps({"type": "set_metadata", "metadata": body}))
    except m.MessageError as error:
        raise Refused("invalid_request", f"The metadata cannot be taken: {error}") from None
    assert isinstance(wish, m.SetMetadata)  # noqa: S101 - it says so itself
    return wish.metadata


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise Refused("invalid_request", f"`limit` is a number from 1 to {MAX_PAGE}.")
    return int(text)


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused("invalid_request", f"`{name}` is true or false.")
    return value


def _permissions(body: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(body) - {"publish", "subscribe", "chat", "admin"}
    if unknown or not body:
        raise Refused("invalid_request", "Name at least one of `publish`, `subscribe`, `chat`, `admin`, and no other.")
    publish = body.get("publish")
    if isinstance(publish, bool):
        publish = list(SOURCES) if publish else []
    if publish is not None and not (isinstance(publish, list) and all(source in SOURCES for source in publish)):
        raise Refused("invalid_request", f"`publish` is true, false or a list of {', '.join(SOURCES)}.")
    return {"publish": publish, **{name: _flag(body, name) for name in ("subscribe", "chat", "admin")}}
