"""A request gets its own reply or one error, whatever else arrives meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from loadtest import signalling as module
from loadtest.owner import Owner
from loadtest.signalling import Message, Signalling, SignallingError


@asynccontextmanager
async def talking(
    handler: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[tuple[Signalling, list[Message]]]:
    """A session with a server that does `handler`, and the messages that are no replies."""
    others: list[Message] = []
    async with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol("auralink.v1")]) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        session = await Signalling.open(url, others.append)
        async with Owner() as owner:
            owner.start(session.read())
            yield session, others
            await session.close()
    assert session._waiting == {}


async def test_replies_find_their_requests_in_any_order_and_the_rest_is_handed_on() -> None:
    async def reverse(socket: ServerConnection) -> None:
        asked = [json.loads(await socket.recv()) for _ in range(2)]
        await socket.send(json.dumps({"type": "speakers"}))
        await socket.send(json.dumps({"type": "done", "request": "unknown"}))
        for message in reversed(asked):
            await socket.send(json.dumps({"type": "pong", "request": message["request"], "of": message["of"]}))

    async with talking(reverse) as (session, others):
        replies = await asyncio.gather(*(session.request({"type": "ping", "of": of}) for of in "ab"))
        assert [reply["of"] for reply in replies] == ["a", "b"]
        assert [message["type"] for message in others] == ["speakers", "done"]


async def test_who_is_cancelled_as_the_reply_arrives_is_cancelled() -> None:
    asked: asyncio.Event = asyncio.Event()

    async def wait(socket: ServerConnection) -> None:
        await socket.recv()
        asked.set()
        await socket.wait_closed()

    async def ask_again_and_again(session: Signalling) -> None:
        await session.request({"type": "ping"})
        await session.request({"type": "ping"})

    async with talking(wait) as (session, _), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask_again_and_again(session))
        await asked.wait()
        session._dispatch({"type": "pong", "request": "1"})
        asking.cancel()
        await asyncio.wait([asking], timeout=1)
        assert asking.cancelled()


async def test_an_error_for_a_request_is_raised_there_and_any_other_is_handed_on() -> None:
    async def refuse(socket: ServerConnection) -> None:
        message = json.loads(await socket.recv())
        await socket.send(json.dumps({"type": "error", "code": "slow_mode", "message": "wait", "request": None}))
        await socket.send(
            json.dumps({"type": "error", "code": "denied", "message": "no", "request": message["request"]})
        )

    async with talking(refuse) as (session, others):
        with pytest.raises(SignallingError, match="denied: no") as refused:
            await session.request({"type": "offer"})
        assert refused.value.code == "denied"
        assert [message["code"] for message in others] == ["slow_mode"]


async def test_when_the_socket_closes_those_who_wait_are_told_and_later_ones_too() -> None:
    async def hang_up(socket: ServerConnection) -> None:
        await socket.recv()

    async with talking(hang_up) as (session, _):
        for _ in range(2):
            with pytest.raises(SignallingError) as gone:
                await session.request({"type": "ping"})
            assert gone.value.code == "closed"


async def test_a_reply_that_does_not_come_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_nothing(socket: ServerConnection) -> None:
        await socket.wait_closed()

    monkeypatch.setattr(module, "_REPLY_WITHIN", 0.05)
    async with talking(say_nothing) as (session, _):
        with pytest.raises(SignallingError, match="no reply to ping within"):
            await session.request({"type": "ping"})


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:9/ws", "http://127.0.0.1:9/ws", "ws://" + "x" * 64 + ".invalid/ws", "nonsense"]
)
async def test_a_server_that_cannot_be_reached_is_closed(url: str) -> None:
    with pytest.raises(SignallingError, match="closed: cannot connect") as gone:
        await Signalling.open(url, lambda _: None)
    assert gone.value.code == "closed"
