"""Any request of an operator changes a room or is refused in words, and the call can always go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from signalling.admin import Admin
from signalling.conference import Conference
from tests.support.playbook import MODERATOR, Stage


class _Server:
    """Carries out what an operator wants on a stage."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.members = [self.stage.joins("mod", grant=MODERATOR), self.stage.joins("ada")]
        self.members[1].publishes(("a0", "microphone"))

    def act(self, wish: Callable[[Conference], None]) -> None:
        try:
            wish(self.stage.conference)
        finally:
            self.stage.carries_out(self.stage.conference.take_commands())


def run(data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    method, _, target = head.partition(b" ")
    if not re.fullmatch(rb"/[!-~]*", target):  # the HTTP parser refuses it before us
        return
    server = _Server()
    response = _answer(Admin(cast(Any, server)), method.decode("latin-1"), target, body)
    assert response.status_code in (200, 204, 400, 404, 409, 413)
    if response.status_code != 204:
        said = json.loads(bytes(response.body))
        assert response.status_code == 200 or (said["code"] and said["message"])
    server.stage.passes(1.0)
    server.stage.joins("eve", room="another")


def _answer(admin: Admin, method: str, target: bytes, body: bytes) -> Response:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    path, _, query = target.partition(b"?")
    scope = {"type": "http", "method": method, "headers": [], "client": None, "query_string": query}
    scope |= {"path": path.decode("utf-8", "replace"), "raw_path": path, "state": {"asker": "fuzz"}}
    scope |= {"app": SimpleNamespace(), "server": ("localhost", 80), "scheme": "http", "root_path": ""}
    try:
        admin._serve(Request(scope, receive)).send(None)
    except StopIteration as end:
        answer: Response = end.value
        return answer
    raise AssertionError("it waits for more than the body")
