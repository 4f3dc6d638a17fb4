"""Any body that asks for a development token gets one that our own keys accept, or a refusal in words."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest.mock import Mock

from starlette.requests import Request
from starlette.responses import Response

from signalling.http import _DevTokens
from signalling.keys import secret_key
from signalling.tokens import Tokens

TOKENS = Tokens([secret_key("dev", b"a secret for fuzzing and for nothing else")])
COUNTS: Any = Mock()
HEADERS = [(b"host", b"localhost:8080"), (b"content-type", b"application/json")]


def run(data: bytes) -> None:
    response = _answer(data)
    said = json.loads(bytes(response.body))
    if response.status_code == 200:
        claims = TOKENS.verify(said["token"], time.time())
        assert (claims.room, claims.identity) == (said["room"], said["identity"])
        assert claims.name == (said["name"] or said["identity"])
    else:
        assert response.status_code in (400, 413)
        assert said["code"]
        assert said["message"]


def _answer(body: bytes) -> Response:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": HEADERS, "client": None}, receive)
    try:
        _DevTokens(TOKENS, COUNTS, 8080).issue(request).send(None)
    except StopIteration as end:
        answer: Response = end.value
        return answer
    raise AssertionError("it waits for more than the body")
