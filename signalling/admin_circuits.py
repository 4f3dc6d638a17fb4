"""The admin API of circuit breakers: thin HTTP over the verbs of circuits.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import circuits
from .admin import MAX_REASON, log_request, refusal
from .conference import Conference, Refused
from .gates import Endpoint, Gate, guarded
from .responses import BodyError, answer, json_object
from .server import Server

BASE = "/admin/circuit-breaker"
NO_REASON = "forced open by an operator"

Verb = Callable[[Conference, Mapping[str, Any], str], None]  # (conference, body, by); raises Refused


class CircuitAdmin:
    """The endpoints under /admin/circuit-breaker. Each answers with all circuits as they are then."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self, gate: Gate) -> list[BaseRoute]:
        """Their places, for those whom `gate` lets in."""
        verbs: dict[str, Verb] = {"reset": _reset, "force-open": _force_open, "release": _release}
        posts = [
            Route(f"{BASE}/{name}", guarded(gate, self._endpoint(verb)), methods=["POST"])
            for name, verb in verbs.items()
        ]
        return [Route(BASE, guarded(gate, self._endpoint(_look)), methods=["GET"]), *posts]

    def _endpoint(self, verb: Verb) -> Endpoint:
        async def serve(request: Request) -> Response:
            told: dict[str, Any] = {}

            def act(conference: Conference) -> None:
                verb(conference, body, request.state.asker)
                told.update(circuits.told(conference))

            try:
                body = await json_object(request, optional=True)
                self._server.act(act)
                response: Response = answer(told)
            except BodyError as error:
                response = error.response
            except Refused as refused:
                response = refusal(refused)
            log_request(request, response)
            return response

        return serve


def _look(conference: Conference, body: Mapping[str, Any], by: str) -> None:
    pass


def _reset(conference: Conference, body: Mapping[str, Any], by: str) -> None:
    circuits.reset(conference, _text(body, "dependency"), by)


def _release(conference: Conference, body: Mapping[str, Any], by: str) -> None:
    circuits.release(conference, _text(body, "dependency"), by)


def _force_open(conference: Conference, body: Mapping[str, Any], by: str) -> None:
    dependency = _text(body, "dependency")
    if dependency is None:
        raise Refused("invalid_request", "Name the `dependency` to do without.")
    circuits.force_open(conference, dependency, _text(body, "reason") or NO_REASON, by)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_REASON and value.isprintable()):
        raise Refused("invalid_request", f"`{name}` is a text of at most {MAX_REASON} printable characters.")
    return value
