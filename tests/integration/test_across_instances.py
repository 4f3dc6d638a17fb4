"""Two instances that share rooms are one to their people: they see, hear of and moderate each other as if at one.

And wherever a load balancer leads those who come, they meet at one instance, where media meets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from loadtest.signalling import SignallingError
from tests.support.balancer import balancer
from tests.support.cluster import instances, on_a_fast_loop, room_at
from tests.support.media_room import media_room
from tests.support.people import People, Person, people, tracks_of
from tests.support.redis_server import redis_server

SOON = 1.0  # seconds for news to get from one instance to the other
ROOMS = 3


class Times:
    """How long news took from one instance to the other."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    async def __call__(self, what: str, person: Person, probe: Callable[[], object]) -> None:
        """Wait until `person` knows of it."""
        began = time.monotonic()
        await person.until(probe, SOON, what)
        self.taken[what] = time.monotonic() - began

    def __str__(self) -> str:
        return ", ".join(f"{what} {1000 * seconds:.0f} ms" for what, seconds in self.taken.items())


def heard(person: Person, type: str, **fields: object) -> Callable[[], bool]:
    """Whether a message with these fields came."""
    return lambda: any(
        message["type"] == type and fields.items() <= message.items() for _, message in person.stay.heard
    )


async def refused(crowd: People, url: str, identity: str) -> str:
    """With which code a join is refused."""
    with pytest.raises(SignallingError) as refusal:
        await crowd.come(url, identity)
    return refusal.value.code


async def two_instances() -> Times:
    news = Times()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        a, b = (server.websocket_url for server in await stack.enter_async_context(instances(redis.url, redis.url)))
        crowd = await stack.enter_async_context(people())
        ada = await crowd.come(a, "ada", admin=True)
        media = await stack.enter_async_context(media_room(a, "lab", size=1, prefix="peer"))
        (peer,) = media.peers
        abe, amy = await crowd.come(a, "abe"), await crowd.come(a, "amy")  # most are at `a`: the room is at home there
        bob = await crowd.come(b, "bob", admin=True)
        ben, eve = await crowd.come(b, "ben"), await crowd.come(b, "eve")
        everybody = [ada, abe, amy, bob, ben, eve]

        await news("a roster", bob, lambda: bob.stay.people == ["abe", "ada", "amy", "ben", "bob", "eve", "peer-1"])
        assert (bob.stay.presence("peer-1"), bob.stay.presence("ben")) == ("elsewhere", "here")
        await news("tracks", bob, lambda: tracks_of(bob.stay, "peer-1") == {"microphone": False, "camera": False})
        track = peer.publications[0].track
        await peer.request({"type": "mute", "track": track})
        await news("a mute", bob, lambda: tracks_of(bob.stay, "peer-1")["microphone"])
        await peer.request({"type": "unmute", "track": track})
        await news("an unmute", bob, lambda: not tracks_of(bob.stay, "peer-1")["microphone"])
        await bob.ask("mute_track", track=track)
        await news("a mute by a moderator elsewhere", ada, lambda: tracks_of(ada.stay, "peer-1")["microphone"])

        await ada.ask("chat", text="to all")
        for one in (bob, ben, eve, abe):
            await news("chat", one, heard(one, "chat_message", text="to all", name="ada"))
        await ben.ask("chat", text="to abe alone", to=abe.stay.participant)
        await news("a private word", abe, heard(abe, "chat_message", text="to abe alone"))
        assert not any(heard(one, "chat_message", text="to abe alone")() for one in (ada, bob, eve))

        await bob.ask("set_metadata", metadata={"title": "Weekly", "agenda": "news"})
        await news("metadata", ada, lambda: ada.stay.rules["metadata"] == {"title": "Weekly", "agenda": "news"})
        await ada.ask("set_metadata", metadata={"agenda": None})
        await news("metadata taken away", bob, lambda: bob.stay.rules["metadata"] == {"title": "Weekly"})
        await ada.ask("lock")
        await news("a lock", bob, lambda: bob.stay.rules["locked"])
        assert [await refused(crowd, url, "late") for url in (a, b)] == ["room_locked", "room_locked"]
        await bob.ask("unlock")
        await news("an unlock", ada, lambda: not ada.stay.rules["locked"])

        await ada.ask("set_permissions", participant=ben.stay.participant, chat=False)
        await news("permissions", ben, heard(ben, "permissions_changed"))
        with pytest.raises(SignallingError, match="permission_denied"):
            await ben.ask("chat", text="may I?")
        await ada.ask("remove", participant=eve.stay.participant)
        await news("a removal", eve, heard(eve, "goodbye", code="removed"))
        await news("the same where the moderator is", ada, lambda: "eve" not in ada.stay.people)
        assert [await refused_with(eve, url) for url in (a, b)] == ["removed", "removed"]
        await bob.ask("ban", participant=abe.stay.participant)
        await news("a ban", abe, heard(abe, "goodbye", code="banned"))
        assert [await refused(crowd, url, "abe") for url in (a, b)] == ["banned", "banned"]
        for one in (ada, amy, bob, ben):
            await one.sees("ada", "amy", "ben", "bob", "peer-1", within=SOON)
        assert all(one.stay.counts()["room"] == one.stay.counts()["degraded"] == 0 for one in everybody)
    return news


async def refused_with(person: Person, url: str) -> str:
    """With which code somebody is refused who comes again with the same token."""
    with pytest.raises(SignallingError) as refusal:
        await person.arrive(url, stay=True)
    return refusal.value.code


async def behind_a_balancer() -> str:
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        servers = await stack.enter_async_context(instances(redis.url, redis.url))
        front = await stack.enter_async_context(balancer(*(urlsplit(server.url).port or 0 for server in servers)))
        url = front.url.replace("http", "ws", 1) + "/ws"
        rooms = [
            await stack.enter_async_context(media_room(url, f"room-{n}", size=3, prefix=f"peer-{n}"))
            for n in range(ROOMS)
        ]
        for room in rooms:
            room.begin()
        await asyncio.sleep(2.0)
        deliveries = [await room.end() for room in rooms]
        assert all(delivery.is_perfect for delivery in deliveries), deliveries
        assert set(front.passed) == {urlsplit(server.url).port for server in servers}  # it did lead to both
        for n in range(ROOMS):
            found = [await room_at(server, f"room-{n}") for server in servers]
            assert sorted(len(room["participants"]) for room in found if room and room["participants"]) == [3]
        return f"{len(front.passed)} connections led to {3 * ROOMS} peers; {deliveries}"


@pytest.mark.timeout(60)
def test_people_at_two_instances_are_in_one_room() -> None:
    print(f"\n{on_a_fast_loop(two_instances())}")


@pytest.mark.timeout(60)
def test_behind_a_load_balancer_a_room_meets_at_one_instance() -> None:
    print(f"\n{on_a_fast_loop(behind_a_balancer())}")
