"""However much is logged, the log holds no key, token, password or word of a call."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from sfu.sdp import parse_offer
from tests.sfu.offers import text_of
from tests.support.server import running_server

JOINS = {"room": "lab", "name": "Ada"}


async def test_neither_tokens_nor_what_is_said_nor_ice_passwords_are_logged(tmp_path: Path) -> None:
    secret, words = secrets.token_hex(32), f"the words {secrets.token_hex(8)}"
    sdp = text_of("chromium_publish_and_receive")
    hidden = [secret, words, parse_offer(sdp).ice_pwd]
    async with running_server(log_level="debug") as server:
        asked = await server.request(
            "/api/dev/token", "POST", json.dumps(JOINS).encode(), {"Content-Type": "application/json"}
        )
        token = json.loads(asked.body)["token"]
        async with server.websocket() as socket:

            async def say(**message: object) -> None:
                await socket.send(json.dumps(message))

            async def hear(kind: str) -> dict[str, object]:
                while True:
                    message: dict[str, object] = json.loads(await socket.recv())
                    if message["type"] == kind:
                        return message

            await say(type="join", token=token[:-2] + "xx")  # one that fails is not logged either
            await hear("goodbye")
        async with server.websocket() as socket:
            await say(type="join", token=token)
            resume_token = str((await hear("welcome"))["resume_token"])
            await say(type="offer", sdp=sdp)
            answer = str((await hear("answer"))["sdp"])
            await say(type="chat", text=words)
            await hear("chat_message")
            await socket.send("{ no message " + secret)
            await hear("error")
        async with server.websocket() as socket:
            await say(type="resume", resume_token=resume_token)
            again = str((await hear("welcome"))["resume_token"])
        password = answer.partition("a=ice-pwd:")[2].split("\r\n")[0]
        hidden += [token, token[:-2], resume_token, again, password]
        assert all(len(text) > 8 for text in hidden)
        log = server.log
    assert log.count("\n") > 1
    assert [text for text in hidden if text in log] == []
