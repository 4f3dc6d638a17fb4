"""A server that joins, answers and forwards nothing: a WebSocket and a datagram socket in the test's own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from loadtest.owner import Owner
from sfu.answer import SectionPlan, build_answer, negotiate
from sfu.candidates import Candidate
from sfu.sdp import Offer, parse_offer

from .counterpart import PASSWORD, SERVER, UFRAG, Counterpart, News, counterpart

ROOM = {"participants": [{"id": "me", "tracks": []}]}


class Server:
    """Says welcome and answers offers; `refusals` are errors for types of requests, `raw` texts instead of replies.

    With a `home` it sends there whoever joins and does not ask to stay.
    """

    def __init__(self, far: Counterpart) -> None:
        self.far = far
        self.url = ""
        self.home = ""
        self.refusals: dict[str, str] = {}
        self.raw: dict[str, str | bytes] = {}
        self.requests: list[dict[str, Any]] = []
        self.offers: list[Offer] = []
        self.news = News()
        self.socket: ServerConnection | None = None

    async def talk(self, socket: ServerConnection) -> None:
        self.socket = socket
        async with Owner() as owner:
            with suppress(ConnectionClosed):
                async for text in socket:
                    message = json.loads(text)
                    self.requests.append(message)
                    if message["type"] in self.raw:
                        await socket.send(self.raw[message["type"]])
                        break
                    reply = self.reply(message)
                    if len(self.offers) == 1 and reply["type"] == "answer":
                        owner.start(self.far.handshake(self.offers[0].fingerprints[0]))
                    await socket.send(json.dumps({**reply, "request": message["request"]}))
                    self.news.tell()

    def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["type"] in self.refusals:
            return {"type": "error", "code": self.refusals[message["type"]], "message": "no"}
        match message["type"]:
            case "join" if self.home and not message.get("stay"):
                return {"type": "redirect", "url": self.home}
            case "join":
                receive = {"audio": 1, "video": 1}
                return {"type": "welcome", "participant": "me", "room": ROOM, "receive": receive, "slots": []}
            case "offer":
                self.offers.append(parse_offer(message["sdp"]))
                tracks = [{"mid": track["mid"], "track": f"t{track['mid']}"} for track in message["tracks"]]
                return {"type": "answer", "sdp": self.answer(), "tracks": tracks, "rejected": []}
            case "leave":
                return {"type": "goodbye", "code": "left", "message": "bye"}
        return {"type": "done"}

    def answer(self) -> str:
        offer, plans = self.offers[-1], []
        for number, section in enumerate(offer.sections):
            if section.direction == "sendonly":
                common = negotiate(section, None, "publish")
                plans.append(SectionPlan.publish(section, common.codecs, common.extensions))
            else:
                common = negotiate(section, None, "slot")
                numbers = (1000 + number, 2000 + number if section.kind == "video" else None)
                plans.append(SectionPlan.slot(section, common.codecs, common.extensions, *numbers, "s", "t", "c"))
        return build_answer(
            offer,
            plans,
            ice_ufrag=UFRAG,
            ice_pwd=PASSWORD,
            fingerprint=SERVER.fingerprint,
            candidates=[Candidate(*self.far.address)],
            session_id=1,
            session_version=len(self.offers),
        )

    async def say(self, message: dict[str, Any]) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps(message))


@asynccontextmanager
async def tiny_server() -> AsyncIterator[Server]:
    """One on loopback; in the end nothing runs that was not there before."""
    tasks = asyncio.all_tasks()
    async with counterpart() as far:
        made = Server(far)
        async with serve(made.talk, "127.0.0.1", 0, subprotocols=[Subprotocol("auralink.v1")]) as listening:
            made.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws"
            yield made
    assert asyncio.all_tasks() - {asyncio.current_task()} <= tasks
