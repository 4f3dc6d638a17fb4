"""A person in a call: a real page that joins a room through auralink.js, and what it sees, hears and is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from .browser import Page, Stream, streams
from .server import RunningServer
from .waiting import eventually

CALLER = Path(__file__).with_name("caller.js").read_text()
# Small pictures, so that software encoders of several pages on one small machine never are what is measured.
CAMERA = {"width": 640, "height": 360, "frameRate": 15}
MICROPHONE = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
BOTH: Mapping[str, Any] = {"microphone": MICROPHONE, "camera": CAMERA}
_rooms = count(1)


def new_room() -> str:
    """The name of a room that no other test uses."""
    return f"room-{next(_rooms)}"


async def access_token(server: RunningServer, room: str, identity: str, **claims: bool) -> str:
    """A token from a server in dev mode; `claims` are `admin` and `wait`."""
    wish = json.dumps({"room": room, "name": identity.title(), "identity": identity, **claims}).encode()
    answer = await server.request("/api/dev/token", "POST", wish, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["token"])


class Person:
    """One page in a room."""

    def __init__(self, page: Page, identity: str) -> None:
        self.page = page
        self.identity = identity

    async def told(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """All events of this kind so far that have these fields, oldest first; `after` is in seconds since joining."""
        events = await self.page.evaluate("(kind) => caller.events.filter(({ type }) => type === kind)", kind)
        return [event for event in events if all(event.get(name) == value for name, value in fields.items())]

    async def hears(self, kind: str, within: float = 5.0, **fields: Any) -> dict[str, Any]:
        """The first event of this kind with these fields, waiting for it. Raises AssertionError after `within` s."""
        found = await eventually(lambda: self.told(kind, **fields), within)
        return found[0]

    async def forgets(self) -> None:
        """Forget what was told so far."""
        await self.page.evaluate("() => { caller.events.length = 0; }")

    async def receives(self, identity: str | None = None, source: str | None = None) -> list[Stream]:
        """What plays now, of one person or of all, from one source or from all."""
        found = streams(await self.page.evaluate("() => caller.inbound()"))
        return [
            stream
            for stream in found
            if identity in (None, stream.report["identity"]) and source in (None, stream.report["source"])
        ]

    async def stream(self, identity: str, source: str) -> Stream | None:
        """The stream that carries this person's source, if it plays."""
        found = await self.receives(identity, source)
        return found[0] if found else None

    async def is_shown(self, identity: str, source: str = "camera", within: float = 10.0) -> None:
        """Wait until new pictures (or new sound, by `microphone`) of `identity` arrive, one after another.

        Raises AssertionError with what arrives instead.
        """
        seen: list[float] = []

        async def growing() -> bool:
            now = await self.stream(identity, source)
            if now is not None:
                seen.append(now.energy if now.kind == "audio" else float(now.frames))
            return len(seen) > 1 and seen[-1] > seen[0]

        try:
            await eventually(growing, within)
        except AssertionError:
            raise AssertionError(f"{self.identity} does not get {identity}'s {source}: {seen[-5:]}") from None

    async def sees_and_hears(self, *others: str, within: float = 10.0) -> None:
        """Wait until camera and microphone of each of `others` arrive."""
        for other in others:
            await self.is_shown(other, "camera", within)
            await self.is_shown(other, "microphone", within)

    async def roster(self) -> dict[str, dict[str, bool]]:
        """The others: identity -> source -> whether it is muted."""
        people = await self.page.evaluate("() => caller.roster()")
        return {
            person["identity"]: {track["source"]: track["muted"] for track in person["tracks"]} for person in people
        }

    async def mutes(self, source: str) -> None:
        """Mute one of our own tracks, until the server has confirmed it."""
        await self.page.evaluate("(source) => caller.room.mute(caller.published.get(source))", source)

    async def unmutes(self, source: str) -> None:
        """Unmute it."""
        await self.page.evaluate("(source) => caller.room.unmute(caller.published.get(source))", source)

    async def publishes(self, source: str, **options: Any) -> None:
        """Publish what was captured for `source`, until the server has accepted it."""
        await self.page.evaluate("([source, options]) => caller.publish(source, options)", [source, options])

    async def captures(self, **media: Any) -> None:
        """Open a camera, a microphone or a drawing for later publishing."""
        await self.page.evaluate("(media) => caller.capture(media)", media)

    async def unpublishes(self, source: str) -> None:
        """Stop publishing `source`, until the server has confirmed it."""
        await self.page.evaluate("(source) => caller.unpublish(source)", source)

    async def says(self, text: str) -> None:
        """Write to everybody."""
        await self.page.evaluate("(text) => caller.room.chat(text)", text)

    async def counts_gaps(self, identity: str) -> None:
        """From now on, measure for how long no new picture of `identity` is shown."""
        await self.page.evaluate("(identity) => caller.countGaps(identity)", identity)

    async def longest_gap(self, identity: str) -> float:
        """The longest time so far, in seconds, without a new picture of `identity`; the one that lasts counts too."""
        return float(await self.page.evaluate("(identity) => caller.longestGap(identity)", identity))

    async def leaves(self) -> None:
        """Leave the room; the page stays."""
        await self.page.evaluate("() => caller.room.leave()")


async def prepare(page: Page, url: str, media: Mapping[str, Any] = BOTH) -> None:
    """Load a page of the server at `url`, without the demo on it, and open the devices that `media` names."""
    # The source of the library, shown as text, is a document of the right origin under the policy of the real page.
    await page.goto(f"{url}/auralink.js")
    await page.evaluate(f"() => {{ {CALLER} }}")
    await page.evaluate("(media) => caller.capture(media)", dict(media))


async def enter(
    page: Page,
    server: RunningServer,
    room: str,
    identity: str,
    *,
    encodings: Mapping[str, Any] | None = None,
    token: str = "",
    **options: Any,
) -> Person:
    """Join `room` with what was captured in a prepared page; returns when the server has welcomed it.

    `options` are those of Room, `encodings` those of publish by source. Without a `token`, a server in dev mode is
    asked for one.
    """
    token = token or await access_token(server, room, identity)
    await page.evaluate(
        "(wish) => caller.enter(wish)", {"options": {"token": token, **options}, "encodings": dict(encodings or {})}
    )
    return Person(page, identity)


async def person(
    page: Page,
    server: RunningServer,
    room: str,
    identity: str,
    media: Mapping[str, Any] = BOTH,
    *,
    through: str | None = None,
    **options: Any,
) -> Person:
    """Prepare a page and join with it; `through` is the URL of a proxy that stands before the server."""
    await prepare(page, through or server.url, media)
    return await enter(page, server, room, identity, **options)


async def all_meet(people: Sequence[Person], within: float = 10.0) -> None:
    """Wait until each sees and hears each other."""
    for one in people:
        await one.sees_and_hears(*(other.identity for other in people if other is not one), within=within)
