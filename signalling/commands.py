"""Commands: what the conference wants done with sockets and with media, in the order in which it is to be done.

Media commands of one peer are carried out one after the other; those of different peers do not wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from sfu.media_plane import PeerId, PublishedTrack, TrackId

from .events import SocketId
from .messages import Message


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455 section 7.4.1, and 4000 upwards our own)."""

    NORMAL = 1000
    POLICY = 1008
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    REPLACED = 4001
    TAKEN_OVER = 4002
    REMOVED = 4003


@dataclass(frozen=True, slots=True)
class Send:
    """One message to every one of `sockets`."""

    sockets: tuple[SocketId, ...]
    message: Message


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close after everything sent before is out. Nothing that arrives later on it counts."""

    socket: SocketId
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class ReadLater:
    """Read nothing more from this socket for `seconds`: who sends too fast is slowed down by its own network."""

    socket: SocketId
    seconds: float


@dataclass(frozen=True, slots=True)
class Verified:
    """Whoever is behind this socket showed a valid token: its address answers for it no longer."""

    socket: SocketId


@dataclass(frozen=True, slots=True)
class Record:
    """Count and log what a moderator did: `by` an identity or a word such as `admin`, to the identity `whom` (empty: to
    the whole room)."""

    action: str
    room: str
    by: str
    whom: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """Write a line to the log."""

    level: Literal["info", "warning", "critical"]
    text: str


@dataclass(frozen=True, slots=True)
class OpenPeer:
    """Make a media peer in `room`."""

    peer: PeerId
    room: str


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """End a media peer."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class AnswerOffer:
    """Have an offer answered; OfferAnswered or OfferRefused follows."""

    peer: PeerId
    sdp: str
    tracks: tuple[PublishedTrack, ...]


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Deliver `tracks` to `peer`."""

    peer: PeerId
    tracks: tuple[TrackId, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Deliver `tracks` to `peer` no longer."""

    peer: PeerId
    tracks: tuple[TrackId, ...]


@dataclass(frozen=True, slots=True)
class SetMuted:
    """Forward nothing of `track` while muted; `peer` publishes it."""

    peer: PeerId
    track: TrackId
    muted: bool


MediaCommand = OpenPeer | ClosePeer | AnswerOffer | Subscribe | Unsubscribe | SetMuted
Command = Send | CloseSocket | ReadLater | Verified | Record | Logged | MediaCommand
