"""Lets a test of the pure conference read like a trace: clients say something, time passes, media happens.

A Client holds what it was told since the test last looked; `hears` takes that and compares it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from sfu import media_plane as media
from signalling import control
from signalling import messages as m
from signalling.commands import AnswerOffer, CloseSocket, Command, OpenPeer, ReadLater, Record, Send, Verified
from signalling.conference import Conference, Rules
from signalling.events import (
    Connected,
    Disconnected,
    Event,
    Instant,
    Malformed,
    MediaHappened,
    OfferAnswered,
    OfferRefused,
    Received,
    ShutdownBegan,
    SocketId,
    Tick,
)
from signalling.keys import secret_key
from signalling.tokens import SOURCES, Grant, Tokens

from .fake_media import accepted

KEYS = (secret_key("test", b"a secret that is long enough to be one"),)
EVERYTHING = Grant(frozenset(SOURCES))
MODERATOR = Grant(frozenset(SOURCES), admin=True)
WALL_AT_ZERO = 1_800_000_000.0
M = TypeVar("M", bound=m.Message)


class Stage:
    """A conference in virtual time. Offers are answered at once, as by a media plane that takes everything."""

    def __init__(self, **rules: Any) -> None:
        self.tokens = Tokens(KEYS)
        self._drawn = 0
        self.conference = Conference(Rules(**rules), self.tokens, lambda who, wall: [], self._random)
        self.now = 0.0
        self.behind = 0.0  # seconds by which its clock is
        self.answering = True
        self.asked: list[Command] = []  # what media was asked, in order, since the test last looked
        self.recorded: list[Record] = []  # what moderators did
        self.clients: dict[SocketId, Client] = {}

    def _random(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.sha256(str(self._drawn).encode()).digest()[:size]

    @property
    def wall(self) -> float:
        """What its clock says: seconds since 1970."""
        return WALL_AT_ZERO + self.now - self.behind

    def happens(self, event: Event) -> None:
        """Let one event happen, and carry out what it causes."""
        self.carries_out(control.handle(self.conference, event, Instant(self.now, self.wall)))

    def carries_out(self, commands: list[Command]) -> None:
        """Do what the conference wants done."""
        for command in commands:
            match command:
                case Send(sockets, message):
                    for socket in sockets:
                        self.clients[socket].told.append(message)
                case CloseSocket(socket, code, _):
                    self.clients[socket].closed = int(code)
                case ReadLater(socket, seconds):
                    self.clients[socket].slowed += seconds
                case Verified():
                    pass
                case Record():
                    self.recorded.append(command)
                case AnswerOffer(peer, sdp, tracks) if self.answering:
                    self.asked.append(command)
                    self.answers(peer, sdp, tracks)
                case _:
                    self.asked.append(command)

    def answers(self, peer: media.PeerId, sdp: str, tracks: tuple[media.PublishedTrack, ...]) -> None:
        """Answer an offer as a media plane that takes everything would."""
        answer = media.Answer("answer to " + sdp, tuple(accepted(track) for track in tracks))
        self.happens(OfferAnswered(peer, answer))

    def answers_all(self) -> None:
        """Answer the offers that wait while `answering` is False."""
        for command in self.media():
            if isinstance(command, AnswerOffer):
                self.answers(command.peer, command.sdp, command.tracks)

    def refuses(self, peer: media.PeerId, code: str = "offer_invalid") -> None:
        """Refuse the offer in flight."""
        self.happens(OfferRefused(peer, code, "No."))

    def media(self) -> list[Command]:
        """What media was asked since the last look."""
        asked, self.asked = self.asked, []
        return asked

    def reports(self, event: media.MediaEvent) -> None:
        """Let the media plane report something."""
        self.happens(MediaHappened(event))

    def passes(self, seconds: float) -> None:
        """Let time pass, and the clock tick once at its end."""
        self.now += seconds
        self.happens(Tick())

    def ends(self) -> None:
        """Ask the process to end."""
        self.happens(ShutdownBegan())

    def token(
        self,
        identity: str,
        room: str = "room",
        grant: Grant = EVERYTHING,
        lifetime: float = 3600.0,
        *,
        wait: bool = False,
    ) -> str:
        """An access token that is valid now."""
        return self.tokens.issue(
            room=room, identity=identity, wall=self.wall, lifetime=lifetime, grant=grant, wait=wait
        )

    def connects(self, address: str = "192.0.2.1") -> Client:
        """A client that has a socket and has said nothing yet."""
        client = Client(self, SocketId(len(self.clients) + 1))
        self.clients[client.socket] = client
        self.happens(Connected(client.socket, address, "ws://test/ws"))
        return client

    def joins(
        self, identity: str, room: str = "room", grant: Grant = EVERYTHING, subscribe: Any = "auto", **other: Any
    ) -> Client:
        """A client that is in the room; that the others heard of its coming is forgotten."""
        client = self.connects(**other)
        client.says(m.Join(token=self.token(identity, room, grant), subscribe=subscribe))
        client.is_welcomed(client.hears(m.Welcome))
        for other in self.clients.values():
            other.told = [said for said in other.told if not _is_arrival(said, client.id)]
        return client

    def moderates(self, act: Callable[[Conference], None]) -> None:
        """Carry out a verb of moderation, as the operator does."""
        self.conference.at = Instant(self.now, self.wall)
        act(self.conference)
        self.carries_out(self.conference.take_commands())

    def peer_of(self, client: Client) -> media.PeerId:
        """The media peer of a client."""
        peer = self.conference.sessions[client.id].peer  # type: ignore[index]
        assert peer is not None
        return peer

    def opened(self) -> list[media.PeerId]:
        """The peers that media was asked to open since the last look."""
        return [command.peer for command in self.media() if isinstance(command, OpenPeer)]


class Client:
    """One socket's side of the conversation."""

    def __init__(self, stage: Stage, socket: SocketId) -> None:
        self.stage = stage
        self.socket = socket
        self.told: list[m.Message] = []
        self.closed: int | None = None  # the close code
        self.slowed = 0.0  # seconds for which nothing was to be read of it
        self.id = ""
        self.resume_token = ""

    def says(self, message: m.ClientMessage) -> None:
        """Send a message."""
        self.stage.happens(Received(self.socket, message))

    def babbles(self) -> None:
        """Send what is no message."""
        self.stage.happens(Malformed(self.socket, "invalid_json", "This is not JSON.", request="7"))

    def vanishes(self, *, clean: bool = False) -> None:
        """Lose the socket, or close it."""
        self.stage.happens(Disconnected(self.socket, clean))

    def offers(self, *tracks: tuple[str, m.Source], muted: bool = False, sdp: str = "offer") -> None:
        """Offer media with these (mid, source) tracks."""
        wishes = [m.OfferedTrack(mid=mid, source=source, muted=muted) for mid, source in tracks]
        self.says(m.Offer(sdp=sdp, tracks=wishes, request="offer"))

    def publishes(self, *tracks: tuple[str, m.Source], muted: bool = False) -> list[str]:
        """Offer media and return the ids of its tracks; everybody forgets what they heard so far."""
        self.offers(*tracks, muted=muted)
        answer = self.hears(m.SdpAnswer)
        for client in self.stage.clients.values():
            client.told.clear()
        return [track.track for track in answer.tracks]

    def resumes(self, token: str = "") -> Client:
        """Come back on a new socket."""
        back = self.stage.connects()
        back.id, back.resume_token = self.id, self.resume_token
        back.says(m.Resume(resume_token=token or self.resume_token))
        return back

    def is_welcomed(self, welcome: m.Welcome) -> None:
        """Remember who we are."""
        self.id, self.resume_token = welcome.participant, welcome.resume_token

    def hears(self, kind: type[M]) -> M:
        """The next thing it was told, which must be of this kind."""
        assert self.told, f"nothing was said, and not {kind.__name__}"
        message = self.told.pop(0)
        assert isinstance(message, kind), f"{message} instead of {kind.__name__}"
        return message

    def hears_nothing(self) -> None:
        """Nothing was said to it."""
        assert self.told == []

    def is_refused(self, code: str) -> m.Error:
        """It was told an error with this code."""
        error = self.hears(m.Error)
        assert error.code == code
        return error

    def is_sent_away(self, code: str, close: int) -> m.Goodbye:
        """It was told goodbye, and its socket closed."""
        goodbye = self.hears(m.Goodbye)
        assert (goodbye.code, self.closed) == (code, close)
        self.hears_nothing()
        return goodbye


def _is_arrival(message: m.Message, participant: str) -> bool:
    return isinstance(message, m.ParticipantJoined) and message.participant.id == participant
