"""A session: one stay of one participant in one room, which may outlive the socket it began on.

Everything that moves a session from one phase to another stands in TRANSITIONS; what a socket may say before and
after it belongs to a session stands in ACCEPTS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from sfu.media_plane import PeerId, PeerState
from state.model import Identity, ParticipantId, RoomName, Source, TrackId

from . import messages as m
from .events import SocketId
from .limits import Strikes, TokenBucket
from .tokens import Claims, Grant


class Phase(Enum):
    """Where a session is in its life."""

    CONNECTED = auto()  # it has a socket
    DETACHED = auto()  # its socket is lost, its media goes on, it may be resumed
    ENDED = auto()  # it is over; nothing leads out of here


class Step(Enum):
    """What moves a session on."""

    SOCKET_LOST = auto()
    RESUMED = auto()
    LEFT = auto()  # by itself, or sent away
    WINDOW_PASSED = auto()


TRANSITIONS: Mapping[tuple[Phase, Step], Phase] = {
    (Phase.CONNECTED, Step.SOCKET_LOST): Phase.DETACHED,
    (Phase.CONNECTED, Step.RESUMED): Phase.CONNECTED,  # a takeover: the server has not noticed the loss yet
    (Phase.CONNECTED, Step.LEFT): Phase.ENDED,
    (Phase.DETACHED, Step.RESUMED): Phase.CONNECTED,
    (Phase.DETACHED, Step.LEFT): Phase.ENDED,
    (Phase.DETACHED, Step.WINDOW_PASSED): Phase.ENDED,
}


class Standing(Enum):
    """What a socket is to the conference."""

    STRANGER = auto()  # its first message is awaited
    CHECKING = auto()  # it tries its way to us, and is in no room
    WAITING = auto()  # a moderator must let it in
    MEMBER = auto()  # it belongs to a session
    DISMISSED = auto()  # it is being closed; what it still says does nothing


ACCEPTS: Mapping[Standing, frozenset[type[m.Request]]] = {
    Standing.STRANGER: frozenset({m.Join, m.Resume, m.Check}),
    Standing.CHECKING: frozenset({m.Offer, m.Ping, m.Leave}),
    Standing.WAITING: frozenset({m.Leave, m.Ping}),
    Standing.MEMBER: frozenset(
        {
            *(m.Offer, m.Subscribe, m.Unsubscribe, m.Mute, m.Unmute, m.Chat, m.Leave, m.Ping),
            *(m.MuteTrack, m.Remove, m.Ban, m.Unban, m.Lock, m.Unlock, m.WaitingRoom, m.SetPermissions),
            *(m.Admit, m.Deny, m.SetMetadata),
        }
    ),
    Standing.DISMISSED: frozenset(),
}


@dataclass(slots=True)
class Socket:
    """A WebSocket as the conference sees it. `deadline` is when a stranger must have said its first word."""

    id: SocketId
    address: str
    url: str
    deadline: float
    messages: TokenBucket
    strikes: Strikes
    standing: Standing = Standing.STRANGER
    session: ParticipantId | None = None
    holder: tuple[RoomName, Identity] | None = None  # whom its token named, once that was verified
    check: PeerId | None = None  # the peer of its pre-call test
    waiter: ParticipantId | None = None  # in the waiting room, the id that it will have


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody with a valid token who waits to be let in until `deadline`, under the id of the session to come."""

    id: ParticipantId
    socket: SocketId
    claims: Claims
    wants_all: bool
    relay_only: bool
    stays: bool  # it cannot get to where the room is at home
    deadline: float


@dataclass(slots=True)
class Check:
    """One pre-call test that runs. `deadline` is when it is over at the latest; `asking` is the offer in flight."""

    peer: PeerId
    socket: SocketId
    deadline: float
    offers: int = 0
    asking: m.Offer | None = None


@dataclass(frozen=True, slots=True)
class PendingOffer:
    """An offer that waits for its answer, or for its turn. The answer goes to the socket that asked, or to nobody."""

    offer: m.Offer
    socket: SocketId
    assigned: Mapping[str, tuple[TrackId, Source, bool]] = field(default_factory=dict)  # mid -> track, source, muted
    rejected: tuple[m.RejectedTrack, ...] = ()


@dataclass(slots=True)
class Session:
    """What is known of a session beside the room model: its socket, its media peer, its open questions."""

    id: ParticipantId
    room: RoomName
    grant: Grant
    wants_all: bool  # its client asked to be subscribed to every track by itself
    claimed: Grant  # by the token it came with
    token_expires: float  # of that token, in seconds since 1970
    issued: float | None  # likewise
    chats: TokenBucket
    offers: TokenBucket
    metadata: TokenBucket
    recent_chat: deque[tuple[float, m.ChatMessage]]  # with when it was said
    phase: Phase = Phase.CONNECTED
    socket: SocketId | None = None
    lost_at: float = 0.0  # when it became DETACHED
    left_cleanly: bool = False  # its client closed the last socket itself
    entered_at: float = 0.0
    is_known_newer: bool = False  # than a session elsewhere of which nobody here knew when this one came
    heard_at: float = 0.0  # when its client last said something
    credentials_at: float = 0.0  # when it was last given credentials for relays
    resume_key: bytes = b""
    peer: PeerId | None = None
    peers_opened: int = 0
    peer_state: PeerState = "new"
    offered: bool = False  # this peer has sent an offer
    in_flight: PendingOffer | None = None
    queued: PendingOffer | None = None
    published: dict[str, TrackId] = field(default_factory=dict)  # mid -> track
    silenced: set[TrackId] = field(default_factory=set)  # muted by a moderator: an offer does not unmute them
    subscribed: dict[TrackId, None] = field(default_factory=dict)  # an ordered set
    slots: dict[str, str | None] = field(default_factory=dict)
    receive: tuple[int, int] = (0, 0)  # audio and video sections the client was asked for
    gathers_at: float | None = None  # when to ask it to go to the home of its room
    moves_until: float = float("-inf")  # until then it may be going on elsewhere, make before break

    @property
    def automatic(self) -> bool:
        """Whether it is subscribed to every track by itself."""
        return self.wants_all and self.grant.subscribe

    def step(self, step: Step) -> None:
        """Move on. Raises KeyError where TRANSITIONS has no such way, which is a fault of ours."""
        self.phase = TRANSITIONS[self.phase, step]
