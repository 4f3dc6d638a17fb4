"""Events: the only way for the conference to learn that something happened.

Their counterpart are the commands (commands.py), the only way for it to make something happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from sfu.media_plane import Answer, MediaEvent, PeerId
from state.news import News

from .messages import ClientMessage

SocketId = NewType("SocketId", int)


@dataclass(frozen=True, slots=True)
class Instant:
    """When an event happened: `now` in seconds on a monotonic clock, `wall` in seconds since 1970."""

    now: float
    wall: float

    def wall_of(self, moment: float) -> float:
        """When another `moment` of the monotonic clock is or was, in seconds since 1970, to the millisecond."""
        return round(self.wall + moment - self.now, 3)


@dataclass(frozen=True, slots=True)
class Connected:
    """A socket opened from `address`; `url` is where its client can reach this instance again."""

    socket: SocketId
    address: str
    url: str


@dataclass(frozen=True, slots=True)
class Received:
    """A valid message arrived."""

    socket: SocketId
    message: ClientMessage


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something arrived that is no message: `code`, `text`, `field` and `request` go into the error."""

    socket: SocketId
    code: str
    text: str
    field: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A socket is gone; `clean` if its client closed it with 1000 or 1001, as a page does that is left."""

    socket: SocketId
    clean: bool = False


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The media plane answered the offer of `peer`."""

    peer: PeerId
    answer: Answer


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The media plane refused the offer of `peer`."""

    peer: PeerId
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class MediaHappened:
    """The media plane reported something by itself."""

    event: MediaEvent


@dataclass(frozen=True, slots=True)
class NewsHeard:
    """Something about other instances, or about the way to them, is new."""

    news: News


@dataclass(frozen=True, slots=True)
class RelaysChanged:
    """Other STUN and TURN servers are to be handed out; `lacking` says why there is no TURN server that works."""

    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went on; several of these come every second."""


@dataclass(frozen=True, slots=True)
class ShutdownBegan:
    """The process was asked to end."""


Event = (
    Connected
    | Received
    | Malformed
    | Disconnected
    | OfferAnswered
    | OfferRefused
    | MediaHappened
    | NewsHeard
    | RelaysChanged
    | Tick
    | ShutdownBegan
)
