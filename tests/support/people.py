"""People who speak the protocol by hand, and who know of their room exactly what they were told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from loadtest.owner import Owner
from loadtest.signalling import Message, Signalling, SignallingError
from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens

from .waiting import in_time

T = TypeVar("T")

SECRET = "x" * 40
KEYS = f"a:{SECRET}"
TOKENS = Tokens((secret_key("a", SECRET.encode()),))
REDIRECTS = 3  # that are followed in a row


def token_for(room: str, identity: str, *, admin: bool = False, chat: bool = True) -> str:
    """A token that the instances of these tests accept."""
    grant = Grant(frozenset(SOURCES), chat=chat, admin=admin)
    return TOKENS.issue(room=room, identity=identity, wall=time.time(), lifetime=3600, grant=grant)


class Stay:
    """One session at one instance. `heard` holds what came unasked, with the time in monotonic seconds."""

    def __init__(self) -> None:
        self.url = ""
        self.participant = ""
        self.resume_token = ""
        self.is_lost = False  # its socket broke, and nobody said goodbye
        self.joined_in = 0.0  # seconds from the join to the welcome
        self.roster: dict[str, Message] = {}  # participant id -> what is known of it
        self.rules: Message = {}
        self.degraded: set[str] = set()
        self.heard: list[tuple[float, Message]] = []
        self.signalling: Signalling | None = None
        self.news = asyncio.Event()

    def hear(self, message: Message) -> None:
        """Take in what came unasked, as docs/protocol.md says."""
        self.heard.append((time.monotonic(), message))
        who = self.roster.get(message.get("participant", "")) if isinstance(message.get("participant"), str) else None
        match message["type"]:
            case "room":
                self._room(message["room"])
            case "room_updated":
                self.rules = {name: message[name] for name in ("locked", "waiting_room", "metadata")}
            case "participant_joined":
                self.roster[message["participant"]["id"]] = message["participant"]
            case "participant_left":
                self.roster.pop(message["participant"], None)
            case "track_published" if who is not None:
                who["tracks"] = [*who["tracks"], message["track"]]
            case "track_unpublished" if who is not None:
                who["tracks"] = [track for track in who["tracks"] if track["id"] != message["track"]]
            case "track_muted" if who is not None:
                for track in who["tracks"]:
                    if track["id"] == message["track"]:
                        track["muted"] = message["muted"]
            case "degraded":
                self.degraded.add(message["degradation"]["dependency"])
            case "recovered":
                self.degraded.discard(message["dependency"])
        self.news.set()

    def welcome(self, message: Message) -> None:
        """The session begins."""
        self.url, self.participant = message["url"], message["participant"]
        self.resume_token = message["resume_token"]
        self.degraded = {one["dependency"] for one in message["degraded"]}
        self._room(message["room"])
        self.news.set()

    def _room(self, room: Message) -> None:
        self.roster = {one["id"]: one for one in room["participants"]}
        self.rules = {name: room[name] for name in ("locked", "waiting_room", "metadata")}

    @property
    def people(self) -> list[str]:
        """The identities that a page would show, sorted; one that is shown twice is there twice."""
        return sorted(one["identity"] for one in self.roster.values())

    def presence(self, identity: str) -> str:
        """Where somebody is; empty if nobody knows of them."""
        found = [one["presence"] for one in self.roster.values() if one["identity"] == identity]
        return found[0] if found else ""

    def counts(self, since: float = 0.0) -> Counter[str]:
        """How many messages of each type came since a moment of monotonic time."""
        return Counter(message["type"] for at, message in self.heard if at >= since)

    def first(self, type: str, since: float = 0.0) -> tuple[float, Message] | None:
        """The first message of a type since then, and when it came."""
        return next(((at, one) for at, one in self.heard if at >= since and one["type"] == type), None)


class Person:
    """Somebody in a room. `stay` is the present session; those before are in `stays`, in their order."""

    def __init__(self, room: str, identity: str, owner: Owner, admin: bool, follows: bool) -> None:
        self.room = room
        self.identity = identity
        self.token = token_for(room, identity, admin=admin)
        self.stays: list[Stay] = []
        self.moved: dict[str, float] = {}  # URL of an instance that asked to go -> when this was arrived elsewhere
        self._owner = owner
        self._follows = follows

    @property
    def stay(self) -> Stay:
        """The present session."""
        return self.stays[-1]

    async def arrive(self, url: str, *, stay: bool = False) -> list[str]:
        """Join at `url`, or where it sends us; returns the URLs that were tried. Raises SignallingError."""
        tried = [url]
        while True:
            session = Stay()
            reply = await self._begin(session, tried[-1], {"type": "join", "token": self.token, "stay": stay})
            if reply["type"] == "welcome":
                self.stays.append(session)
                return tried
            assert reply["type"] == "redirect", reply
            assert len(tried) <= REDIRECTS, f"sent from one to the next: {tried}"
            tried.append(reply["url"])

    async def resume(self) -> None:
        """Come back on another socket. Raises SignallingError."""
        session = Stay()
        await self._begin(session, self.stay.url, {"type": "resume", "resume_token": self.stay.resume_token})
        self.stays.append(session)

    async def _begin(self, session: Stay, url: str, first: Message) -> Message:
        before: list[Message] = []  # what came before the task that waits for the welcome had its turn

        def hear(message: Message) -> None:
            if session.participant:
                session.hear(message)
                self._follow(session, message)
            else:
                before.append(message)

        signalling = session.signalling = await Signalling.open(url, hear)
        self._owner.start(self._read(session, signalling))
        started = time.monotonic()
        reply = await signalling.request(first)
        session.joined_in = time.monotonic() - started
        if reply["type"] == "welcome":
            session.welcome(reply)
            for message in before:
                hear(message)
        return reply

    async def _read(self, session: Stay, signalling: Signalling) -> None:
        try:
            await signalling.read()
            session.is_lost = signalling.goodbye is None
        finally:
            await signalling.close()

    def _follow(self, session: Stay, message: Message) -> None:
        if message["type"] == "migrate" and session is self.stay and self._follows:
            self._owner.start(self._move(session, message["url"]))

    async def _move(self, session: Stay, url: str) -> None:
        """Connect there, then leave here."""
        try:
            await self.arrive(url)
        except SignallingError as error:
            session.hear({"type": "move_failed", "url": url, "reason": str(error)})
            return
        self.moved[session.url] = time.monotonic()
        if session.signalling is not None and session.signalling.goodbye is None:
            await session.signalling.request({"type": "leave", "reason": "migrated"})

    async def ask(self, type: str, **fields: Any) -> Message:
        """Make a request and return its reply. Raises SignallingError if it is refused."""
        assert self.stay.signalling is not None
        return await self.stay.signalling.request({"type": type, **fields})

    async def seconds_for(self, type: str, **fields: Any) -> float:
        """Make a request; how long the reply took, in seconds."""
        started = time.monotonic()
        await self.ask(type, **fields)
        return time.monotonic() - started

    async def leave(self) -> None:
        """Leave for good."""
        await self.ask("leave")

    async def lose_connection(self) -> None:
        """Break the socket, with no word."""
        assert self.stay.signalling is not None
        await self.stay.signalling.close()

    async def until(self, probe: Callable[[], T], within: float, what: str = "") -> T:
        """Look at each piece of news until `probe` finds what it seeks. Raises AssertionError after `within` s."""
        deadline = time.monotonic() + within
        while True:
            stay = self.stay
            stay.news.clear()
            if found := probe():
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"{self.identity} waited {within} s for {what or 'something'}; {self}"
            try:
                await in_time(stay.news.wait(), min(left, 0.25))  # it may have moved meanwhile
            except TimeoutError:
                continue

    async def sees(self, *identities: str, within: float = 10.0) -> None:
        """Wait until exactly these are shown."""
        await self.until(lambda: self.stay.people == sorted(identities), within, f"a room of {sorted(identities)}")

    async def told(self, type: str, within: float, since: float = 0.0) -> tuple[float, Message]:
        """Wait for a message of this type, and when it came."""
        found = await self.until(lambda: self.stay.first(type, since), within, f"a message {type}")
        assert found is not None
        return found

    def __repr__(self) -> str:
        last = [message for _, message in self.stay.heard[-8:]]
        return f"{self.identity} at {self.stay.url} sees {self.stay.people} {self.stay.rules}, last heard {last}"


class People:
    """Those of one test; all of them are gone when it ends."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.all: list[Person] = []

    async def come(
        self,
        url: str,
        identity: str,
        room: str = "lab",
        *,
        stay: bool = True,
        admin: bool = False,
        follows: bool = True,
    ) -> Person:
        """Somebody joins, by default to be served at this very instance; who `follows` goes where it is asked to go."""
        person = Person(room, identity, self._owner, admin, follows)
        await person.arrive(url, stay=stay)
        self.all.append(person)
        return person


@asynccontextmanager
async def people() -> AsyncIterator[People]:
    """People, for as long as the block lasts."""
    async with Owner() as owner:
        yield People(owner)


def tracks_of(stay: Stay, identity: str) -> Mapping[str, bool]:
    """Source -> muted, of each track that somebody is shown with."""
    return {
        track["source"]: track["muted"]
        for one in stay.roster.values()
        if one["identity"] == identity
        for track in one["tracks"]
    }
