"""The HTTP side of an instance as an OpenAPI 3.1 document: what is asked for, and what is answered.

It is written by hand, and tests hold it to what is served: no endpoint is missing, none is made up, and what is really
answered fits the schemas.
"""

from __future__ import annotations

from typing import Any

from .messages import MAX_METADATA_CHARACTERS, MAX_METADATA_FIELDS

Told = dict[str, Any]

JSON = "application/json"
HEALTH = "application/health+json"
WORDS = """What an instance serves over HTTP beside its page and its WebSocket, whose messages `/api/schema` describes.

Operators' endpoints (tag `operators`) are on a listener of their own (`--admin-bind`); on the main port they are there
for who shows an admin token, if the server has keys for these (`--admin-keys`), and in dev mode for this machine.

Every answer given in a degraded mode carries `X-Degraded-Mode`, `X-Fallback-Used` and, if a circuit breaker is
concerned, `X-Circuit-State`."""


# ---------------------------------------------------------------------------------------------------------- schemas


def _object(required: Told, optional: Told | None = None) -> Told:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def _ref(name: str) -> Told:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Told) -> Told:
    return {"type": "array", "items": items}


def _or_null(schema: Told) -> Told:
    return {"anyOf": [schema, {"type": "null"}]}


def _map(values: Told) -> Told:
    return {"type": "object", "additionalProperties": values}


TEXT: Told = {"type": "string"}
FLAG: Told = {"type": "boolean"}
COUNT: Told = {"type": "integer", "minimum": 0}
SECONDS: Told = {"type": "number", "minimum": 0}
WHEN: Told = {"type": "number", "description": "Seconds since 1970."}
STATUS: Told = {"enum": ["pass", "warn", "fail"]}
CIRCUIT: Told = {"enum": ["closed", "open", "half_open"]}
SOURCES: Told = _list({"enum": ["microphone", "camera", "screen", "screen_audio"]})
METADATA: Told = _map({"type": "string", "maxLength": MAX_METADATA_CHARACTERS})
SETTINGS: Told = {"locked": FLAG, "waiting_room": FLAG, "metadata": METADATA}

SCHEMAS: Told = {
    "Problem": _object({"code": TEXT | {"description": "Stable."}, "message": TEXT | {"description": "For a person."}}),
    "Live": _object({"status": {"const": "ok"}}),
    "Ready": _object(
        {"status": STATUS, "serviceId": {"const": "auralink"}},
        {"output": TEXT, "notes": _list(TEXT) | {"description": "What is away, and in which mode that is."}},
    ),
    "Health": _object(
        {
            "status": STATUS,
            "version": TEXT,
            "releaseId": TEXT,
            "serviceId": {"const": "auralink"},
            "description": TEXT,
            "degraded": _list(_ref("Degradation")),
            "checks": _map(_list(_ref("Check"))),
        }
    ),
    "Degradation": _object({"dependency": TEXT, "mode": TEXT, "reason": TEXT, "since": WHEN, "message": TEXT}),
    "Check": {
        "type": "object",
        "description": "As in draft-inadarei-api-health-check, with more about circuits, modes, instances and relays.",
        "properties": {
            "componentType": {"enum": ["system", "component", "datastore"]},
            "observedValue": {"type": ["number", "string", "boolean"]},
            "observedUnit": TEXT,
            "status": STATUS,
            "since": WHEN,
            "reason": {"type": ["string", "null"]},
            "last_error": {"type": ["string", "null"]},
            "forced": FLAG,
            "next_trial": _or_null(SECONDS),
            "node": TEXT,
            "others": _list(_object({"node": TEXT, "url": TEXT, "region": TEXT, "live": FLAG})),
            "url": TEXT | {"description": "Of the STUN or TURN server that was probed."},
            "handed_out": FLAG | {"description": "Clients are told of it now."},
            "round_trip": _or_null(
                SECONDS | {"description": "Smoothed; through the relay to the media port, or to the STUN server."}
            ),
        },
        "required": ["componentType", "observedValue", "observedUnit", "status"],
        "additionalProperties": False,
    },
    "Circuits": _object({"circuits": _list(_ref("Circuit"))}),
    "Circuit": _object(
        {
            "dependency": TEXT,
            "state": CIRCUIT,
            "forced": FLAG | {"description": "Held open by an operator."},
            "reason": {"type": ["string", "null"]},
            "since": WHEN,
            "last_error": {"type": ["string", "null"]},
            "next_trial": _or_null(SECONDS),
            "calls": _map(COUNT),
        }
    ),
    "Rooms": _object({"rooms": _list(_ref("RoomSummary")), "next": {"type": ["string", "null"]}}),
    "RoomSummary": _object(
        {"name": TEXT, "participants": COUNT, "elsewhere": COUNT, "tracks": COUNT, "waiting": COUNT} | SETTINGS
    ),
    "Room": _object(
        {
            "name": TEXT,
            "participants": _list(_ref("Participant")),
            "waiting": _list(_object({"id": TEXT, "identity": TEXT, "name": TEXT, "until": WHEN})),
            "banned": _list(TEXT),
        }
        | SETTINGS
    ),
    "Participant": _object(
        {
            "id": TEXT,
            "identity": TEXT,
            "name": TEXT,
            "presence": {"enum": ["here", "elsewhere", "unknown"]},
            "node": TEXT,
            "connected": {"type": ["boolean", "null"], "description": "null: only its own instance knows."},
            "media": {"type": ["string", "null"]},
            "permissions": _or_null(_object({"publish": SOURCES, "subscribe": FLAG, "chat": FLAG, "admin": FLAG})),
            "tracks": _list(_object({"id": TEXT, "kind": {"enum": ["audio", "video"]}, "source": TEXT, "muted": FLAG})),
        }
    ),
    "Token": _object({"token": TEXT, "room": TEXT, "identity": TEXT, "name": TEXT}),
}


# ---------------------------------------------------------------------------------------------------------- answers

RETRY_HEADERS = {name: {"schema": {"type": "integer", "minimum": 1}} for name in ("Retry-After", "X-Retry-After")}
DEGRADED_HEADERS: Told = {
    "X-Degraded-Mode": {"schema": {"const": "true"}},
    "X-Fallback-Used": {"schema": TEXT, "example": "redis-memory"},
    "X-Circuit-State": {"schema": CIRCUIT},
}


def _answer(description: str, schema: Told, media: str = JSON) -> Told:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in DEGRADED_HEADERS}
    return {"description": description, "headers": headers, "content": {media: {"schema": schema}}}


def _problem(description: str, *, retry: bool = False) -> Told:
    told = _answer(description, _ref("Problem"))
    return told | {"headers": told["headers"] | RETRY_HEADERS} if retry else told


DONE: Told = {"description": "It is done."}
PROBLEMS: Told = {
    "400": _problem("The request makes no sense; the message says what is expected."),
    "401": _problem("No valid admin token was shown."),
    "403": _problem("Not for this host name or for pages of this origin, or nobody is let in here."),
    "404": _problem("There is no such room, participant, ban or dependency."),
    "409": _problem("There is no space for one more."),
    "413": _problem("The body is too large."),
    "429": _problem("Too many requests.", retry=True),
    "503": _problem("What it takes is away just now: another instance, or a relay for who waits.", retry=True),
}
GUARDED = ("401", "403", "429")


def _some(*statuses: str) -> Told:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _public(summary: str, responses: Told, **more: Any) -> Told:
    return {"summary": summary, "tags": ["everybody"], "security": [], "responses": responses} | more


def _guarded(summary: str, responses: Told, **more: Any) -> Told:
    return {"summary": summary, "tags": ["operators"], "responses": responses | _some(*GUARDED)} | more


def _verb(summary: str, *problems: str, **more: Any) -> Told:
    return _guarded(summary, {"204": DONE} | _some("400", "404", "413", *problems), **more)


def _body(required: Told, optional: Told | None = None) -> Told:
    """One that may be left out if nothing in it is required."""
    return {"required": bool(required), "content": {JSON: {"schema": _object(required, optional)}}}


def _parameter(name: str, where: str, schema: Told = TEXT) -> Told:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


# ------------------------------------------------------------------------------------------------------------ paths

ROOM, IDENTITY = _parameter("room", "path"), _parameter("identity", "path")
METADATA_BODY: Told = {
    "required": True,
    "content": {
        JSON: {
            "schema": _map({"type": ["string", "null"], "maxLength": MAX_METADATA_CHARACTERS})
            | {"maxProperties": MAX_METADATA_FIELDS}
        }
    },
}
CHOSEN = _body({}, {"dependency": TEXT | {"description": "All, if it is left out."}})
CIRCUITS = {"200": _answer("All circuits as they are now.", _ref("Circuits"))}

FOR_EVERYBODY: Told = {
    "/ws": {
        "get": _public(
            "Open the WebSocket; its subprotocol is auralink.v1",
            {"101": {"description": "The messages of /api/schema follow."}}
            | {status: PROBLEMS[status] for status in ("400", "403", "429")},
        )
    },
    "/health/live": {"get": _public("Whether the process serves", {"200": _answer("It does.", _ref("Live"))})},
    "/health/ready": {
        "get": _public(
            "Whether people should be sent to this instance",
            {
                "200": _answer("They should; `warn`: something that all share is away.", _ref("Ready"), HEALTH),
                "503": _answer("It starts, ends, is late, or has no media.", _ref("Ready"), HEALTH)
                | {"headers": RETRY_HEADERS},
            },
        )
    },
    "/api/schema": {
        "get": _public("The JSON Schema of all messages", {"200": _answer("It.", {}, "application/schema+json")})
    },
    "/api/openapi.json": {"get": _public("This document", {"200": _answer("It.", {"type": "object"})})},
    "/api/dev/token": {
        "post": _public(
            "In development mode only: a token for a page of this machine",
            {"200": _answer("It.", _ref("Token"))}
            | _some("400", "403", "413", "429")
            | {"415": _problem("The body is no JSON.")},
            requestBody=_body({"room": TEXT, "name": TEXT}, {"identity": TEXT, "admin": FLAG, "wait": FLAG}),
        )
    },
}

FOR_OPERATORS: Told = {
    "/metrics": {"get": _guarded("For Prometheus", {"200": _answer("Its text format.", TEXT, "text/plain")})},
    "/health/detailed": {
        "get": _guarded(
            "How this instance and everything that it depends on is",
            {
                "200": _answer("It serves; `warn`: look at it.", _ref("Health"), HEALTH),
                "503": _answer("The media plane does not answer.", _ref("Health"), HEALTH),
            },
        )
    },
    "/admin/circuit-breaker": {"get": _guarded("All circuits", CIRCUITS)},
    "/admin/circuit-breaker/reset": {
        "post": _guarded("Close circuits, and try at once", CIRCUITS | _some("400", "404", "413"), requestBody=CHOSEN)
    },
    "/admin/circuit-breaker/release": {
        "post": _guarded("End force-open: a trial decides", CIRCUITS | _some("400", "404", "413"), requestBody=CHOSEN)
    },
    "/admin/circuit-breaker/force-open": {
        "post": _guarded(
            "Do without a dependency until release or reset",
            CIRCUITS | _some("400", "404", "413"),
            requestBody=_body({"dependency": TEXT}, {"reason": TEXT | {"maxLength": 200}}),
        )
    },
    "/api/rooms": {
        "get": _guarded(
            "The rooms of this instance by name, a page at a time",
            {"200": _answer("Behind `after`; `next` is the `after` of the next page.", _ref("Rooms"))} | _some("400"),
            parameters=[
                _parameter("after", "query"),
                _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
            ],
        )
    },
    "/api/rooms/{room}": {
        "parameters": [ROOM],
        "get": _guarded("All about a room", {"200": _answer("It.", _ref("Room"))} | _some("400", "404")),
        "delete": _verb("End it for everybody"),
    },
    "/api/rooms/{room}/lock": {"parameters": [ROOM], "post": _verb("Let nobody new in but moderators")},
    "/api/rooms/{room}/unlock": {"parameters": [ROOM], "post": _verb("Let everybody in again")},
    "/api/rooms/{room}/metadata": {
        "parameters": [ROOM],
        "put": _verb("Replace what is written at it", requestBody=METADATA_BODY),
        "post": _verb("Change some fields; null takes one away", requestBody=METADATA_BODY),
    },
    "/api/rooms/{room}/waiting-room": {
        "parameters": [ROOM],
        "post": _verb("Have newcomers wait, or no longer", requestBody=_body({"on": FLAG})),
    },
    "/api/rooms/{room}/waiting/{identity}/admit": {
        "parameters": [ROOM, IDENTITY],
        "post": _verb("Let somebody in who waits", "409", "503"),
    },
    "/api/rooms/{room}/waiting/{identity}/deny": {
        "parameters": [ROOM, IDENTITY],
        "post": _verb("Send somebody away who waits"),
    },
    "/api/rooms/{room}/bans/{identity}": {"parameters": [ROOM, IDENTITY], "delete": _verb("Take a ban back")},
    "/api/rooms/{room}/participants/{identity}": {
        "parameters": [ROOM, IDENTITY],
        "delete": _verb(
            "Send somebody out, and with `ban` for good",
            "503",
            parameters=[_parameter("ban", "query", {"enum": ["0", "1"]}), _parameter("reason", "query")],
        ),
    },
    "/api/rooms/{room}/participants/{identity}/mute": {
        "parameters": [ROOM, IDENTITY],
        "post": _verb("Mute a track, or all", "503", requestBody=_body({}, {"track": TEXT})),
    },
    "/api/rooms/{room}/participants/{identity}/permissions": {
        "parameters": [ROOM, IDENTITY],
        "post": _verb(
            "Change what somebody may do, at once",
            "503",
            requestBody=_body(
                {}, {"publish": {"anyOf": [FLAG, SOURCES]}, "subscribe": FLAG, "chat": FLAG, "admin": FLAG}
            ),
        ),
    },
}


def document(version: str) -> Told:
    """The whole document, for the version of the server that runs."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "AuraLink", "version": version, "description": WORDS},
        "tags": [
            {"name": "everybody", "description": "On the main port, and health on the listener of operators, too."},
            {"name": "operators", "description": "On the listener of operators; elsewhere with an admin token."},
        ],
        "security": [{"adminToken": []}, {}],
        "paths": FOR_EVERYBODY | FOR_OPERATORS,
        "components": {
            "schemas": SCHEMAS,
            "responses": PROBLEMS,
            "headers": DEGRADED_HEADERS,
            "securitySchemes": {"adminToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
