"""What every HTTP endpoint answers with when it refuses, and how it reads a body: bounded, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MAX_BODY = 4096  # bytes
NO_HEADERS: Mapping[str, str] = {}


class BodyError(ValueError):
    """A body is too large or no JSON object; `response` says so."""

    def __init__(self, response: Response) -> None:
        super().__init__("unusable body")
        self.response = response


def problem(status: int, code: str, text: str, headers: Mapping[str, str] = NO_HEADERS) -> JSONResponse:
    """An error: `code` is stable, `text` is for a person."""
    return JSONResponse({"code": code, "message": text}, status, {"Cache-Control": "no-store", **headers})


def answer(
    body: Any, media_type: str = "application/json", status: int = 200, headers: Mapping[str, str] = NO_HEADERS
) -> JSONResponse:
    """What is true now and may not be kept."""
    return JSONResponse(body, status, {"Cache-Control": "no-store", **headers}, media_type)


def later(wait: float) -> dict[str, str]:
    """Headers that ask to try again in `wait` seconds; the second is for clients that only know that one."""
    seconds = str(max(1, math.ceil(wait)))
    return {"Retry-After": seconds, "X-Retry-After": seconds}


async def http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in the same form."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return problem(error.status_code, f"http_{error.status_code}", error.detail, dict(error.headers or {}))


async def json_object(request: Request, *, optional: bool = False, most: int = MAX_BODY) -> dict[str, Any]:
    """The JSON object in a body of at most `most` bytes; if it is optional, none is an empty one. Raises BodyError."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BodyError(problem(413, "body_too_large", f"At most {most} bytes."))
    if optional and not body:
        return {}
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BodyError(problem(400, "invalid_request", "The body is no JSON object."))
    return found
