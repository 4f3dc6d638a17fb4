"""The conference: every socket, session and room of this instance, and the few verbs its behaviours speak with.

It is pure: events go in with the time at which they happened, commands come out. control.py leads each event to the
behaviour that it belongs to:

- coming and going: entrance.py (join, resume), waiting.py (the waiting room), precall.py (the test before joining),
  departure.py (leave, loss, timeout);
- media: negotiation.py (offers), publishing.py (tracks), media_reports.py (what the media plane tells), migration.py
  (new media connections, here or at another instance);
- what members ask for: conversation.py (subscriptions, mute, chat), moderators.py and the verbs of moderation.py;
- other instances: elsewhere.py (their people), cluster_news.py (what they say), gathering.py (meeting at one of them);
- what is away: degradation.py (how people hear of it), relays.py (which there are now).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sfu.media_plane import PeerId
from state.memory import OwnRooms
from state.model import ParticipantId, RoomName
from turn_probe.fleet import Fleet

from . import messages as m
from .cluster import Cluster
from .commands import CloseCode, CloseSocket, Command, Send
from .doors import Doors
from .episodes import Episodes
from .events import Instant, SocketId
from .limits import BucketPerAddress, BucketPerKey, CountPerKey, Rate
from .session import Check, Session, Socket, Standing, Waiter
from .tokens import Tokens

IceServers = Callable[[str, float], list[m.IceServer]]  # (participant, wall seconds) -> what welcome hands out
Randomness = Callable[[int], bytes]  # that many unpredictable bytes


MESSAGE_RATE = Rate(per_second=50.0, burst=100.0)
CHAT_RATE = Rate(per_second=2.0, burst=10.0)
# A browser offers again when it publishes and when sections are lacking, and lets needs coalesce; an offer may cost
# 30 ms. More lets one client take more of everybody's time; fewer delays a newcomer in a room where many come and go.
OFFER_RATE = Rate(per_second=5.0, burst=20.0)
# All that is written at a room, up to 32 KiB, goes to everybody in it and to the other instances with every change.
METADATA_RATE = Rate(per_second=1.0, burst=10.0)
JOIN_RATE = Rate(per_second=5.0, burst=25.0)
FAILURE_RATE = Rate(per_second=50.0, burst=500.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers the conference keeps to. Times are in seconds."""

    join_timeout: float = 10.0
    resume_window: float = 30.0
    recent_chat: int = 100  # messages kept per session, for a client that comes back
    max_rooms: int = 10_000
    max_participants_per_room: int = 200
    max_tracks_per_participant: int = 8
    media_grace: float = 3.0  # for a session without socket and media: its client may be building both anew
    max_waiting: int = 1000  # in all waiting rooms
    max_waiting_per_room: int = 50
    waiting_timeout: float = 300.0
    removal_memory: float = 24 * 3600.0  # how long tokens from before a removal are refused at least
    relay_credentials: float = math.inf  # for how long those that are handed out are valid
    max_checks: int = 100  # pre-call tests at once
    check_time: float = 30.0  # for one of them
    messages: Rate = MESSAGE_RATE  # per connection
    chats: Rate = CHAT_RATE  # per session
    offers: Rate = OFFER_RATE  # per session
    metadata: Rate = METADATA_RATE  # changes per session
    joins: Rate = JOIN_RATE  # per identity, resumes and pre-call tests included
    failures: Rate = FAILURE_RATE  # per address: connections that end without having shown a valid token
    max_connections_per_identity: int = 10
    max_bad_messages: int = 20  # per connection, within `bad_message_window`
    bad_message_window: float = 10.0


class Refused(Exception):
    """A request is refused: raised by a behaviour, sent as an `error` by whoever called it."""

    def __init__(
        self, code: str, text: str, *, field: str = "", retry_after: float | None = None, close: CloseCode | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.field = field
        self.retry_after = retry_after
        self.close = close  # with which code a stranger's socket is closed over it


@dataclass(slots=True)
class Migration:
    """Where everybody is asked to go on, until when (seconds, monotonic), and when each is asked who was not yet."""

    url: str  # empty: at the home of each room among the other instances
    reason: str
    ends_at: float
    due: dict[ParticipantId, float]


@dataclass(slots=True)
class Conference:
    """All that this instance hosts, and the commands that the event being handled has caused so far."""

    rules: Rules
    tokens: Tokens
    ice_servers: IceServers
    random: Randomness
    rooms: OwnRooms = field(default_factory=OwnRooms)
    sockets: dict[SocketId, Socket] = field(default_factory=dict)
    strangers: dict[SocketId, None] = field(default_factory=dict)  # in the order of their deadlines
    sessions: dict[ParticipantId, Session] = field(default_factory=dict)
    detached: dict[ParticipantId, None] = field(default_factory=dict)  # in the order of their loss
    fading: dict[ParticipantId, float] = field(default_factory=dict)  # without socket and media -> when it ends
    waiting: dict[ParticipantId, Waiter] = field(default_factory=dict)  # in the order of their deadlines
    doors: Doors = field(init=False)
    resumable: dict[bytes, ParticipantId] = field(default_factory=dict)  # hash of a resume token -> session
    peers: dict[PeerId, ParticipantId] = field(default_factory=dict)
    checks: dict[PeerId, Check] = field(default_factory=dict)  # pre-call tests, in the order of their deadlines
    speakers: dict[RoomName, list[m.Speaker]] = field(default_factory=dict)
    joins: BucketPerKey = field(init=False)  # of an identity in a room
    failures: BucketPerAddress = field(init=False)  # an address that has used them up is refused before the upgrade
    connections: CountPerKey = field(init=False)  # of an identity in a room
    limited: Callable[[str], None] = lambda limit: None  # told the name of each limit that refused something
    conflicted: Callable[[str, int], None] = lambda kind, count: None  # told what was changed apart and has met
    migration: Migration | None = None
    cluster: Cluster = field(default_factory=Cluster)
    relays: Fleet | None = None  # what was measured of STUN and TURN servers
    shown: dict[RoomName, dict[ParticipantId, m.ParticipantInfo]] = field(default_factory=dict)  # others, as told
    left_behind: dict[RoomName, float] = field(default_factory=dict)  # all went on elsewhere -> when it is forgotten
    degraded: dict[str, m.Degradation] = field(default_factory=dict)  # what is away, by dependency
    episodes: Episodes = field(default_factory=Episodes)
    next_gathering: float = 0.0
    next_credentials: float = 0.0  # when somebody's for relays are to be replaced, at the earliest
    shutting_down: bool = False
    at: Instant = field(default_factory=lambda: Instant(0.0, 0.0))
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.joins = BucketPerKey(self.rules.joins)
        self.failures = BucketPerAddress(self.rules.failures)
        self.connections = CountPerKey(self.rules.max_connections_per_identity)
        self.doors = Doors(self.rules.removal_memory, writer=lambda: self.cluster.writer)

    # ------------------------------------------------------------------------------------------------ who is here

    def members(self, room: RoomName) -> Iterator[Session]:
        """The sessions in `room`."""
        return (self.sessions[participant.id] for participant in self.rooms.room(room).participants)

    def session_of_peer(self, peer: PeerId) -> Session | None:
        """The session whose media peer is `peer` now."""
        participant = self.peers.get(peer)
        return None if participant is None else self.sessions[participant]

    def name_of(self, by: str) -> str:
        """How a moderator is named in the log and at other instances: by identity, or by its name as it is."""
        moderator = ParticipantId(by)
        return self.rooms.participant(moderator).identity if moderator in self.sessions else by

    def chance(self) -> float:
        """A random number from 0.0 to 1.0, which it never reaches."""
        return int.from_bytes(self.random(2), "big") / 65536

    def new_id(self, prefix: str) -> str:
        """An id nobody has had and nobody can guess: 80 random bits after a letter that says of what."""
        return f"{prefix}_{base64.b32encode(self.random(10)).decode().lower()}"

    # ---------------------------------------------------------------------------------------------- what it says

    def do(self, *commands: Command) -> None:
        """Have something done."""
        self.commands.extend(commands)

    def take_commands(self) -> list[Command]:
        """What is to be done now; forgets it."""
        commands, self.commands = self.commands, []
        return commands

    def send(self, session: Session, message: m.Message) -> None:
        """Tell one session, if it has a socket now."""
        if session.socket is not None:
            self.do(Send((session.socket,), message))

    def tell_room(self, room: RoomName, message: m.Message, but: Sequence[ParticipantId] = ()) -> None:
        """Tell everybody in `room` who has a socket, except `but`."""
        sockets = tuple(
            session.socket for session in self.members(room) if session.socket is not None and session.id not in but
        )
        if sockets:
            self.do(Send(sockets, message))

    def tell_moderators(self, room: RoomName, message: m.Message) -> None:
        """Tell those in `room` who may moderate it and have a socket."""
        sockets = tuple(
            session.socket for session in self.members(room) if session.socket is not None and session.grant.admin
        )
        if sockets:
            self.do(Send(sockets, message))

    def deliver(self, hearers: Sequence[Session], said: m.ChatMessage) -> None:
        """Have sessions hear a chat message: now, and when they come back, for who has lost a socket may not have."""
        for hearer in hearers:
            hearer.recent_chat.append((self.at.now, said))
        sockets = tuple(hearer.socket for hearer in hearers if hearer.socket is not None)
        if sockets:
            self.do(Send(sockets, said))

    def reply(self, socket: SocketId, message: m.Message) -> None:
        """Tell one socket, unless it is on its way out."""
        known = self.sockets.get(socket)
        if known is not None and known.standing is not Standing.DISMISSED:
            self.do(Send((socket,), message))

    def done(self, socket: SocketId, request: m.Request) -> None:
        """Confirm a request that has no reply of its own, if it asked for that."""
        if request.request is not m.UNSET:
            self.reply(socket, m.Done(request=request.request))

    def refuse(self, socket: SocketId, refused: Refused, request: str | m.UnsetType) -> None:
        """Say that a request was refused."""
        self.reply(
            socket,
            m.Error(
                code=refused.code,
                message=str(refused),
                field=refused.field or m.UNSET,
                retry_after=m.UNSET if refused.retry_after is None else round(refused.retry_after + 0.0005, 3),
                request=request or m.UNSET,
            ),
        )

    def redirect(self, socket: SocketId, url: str, request: str | m.UnsetType = m.UNSET) -> None:
        """Send a client without a session to where its room is at home: media meets there, and moderators are there."""
        self.reply(socket, m.Redirect(url=url, request=request))
        self.dismiss(socket, "redirected", "This room is at home at another server.", CloseCode.NORMAL)

    def dismiss(
        self,
        socket: SocketId,
        code: str,
        text: str,
        close: CloseCode,
        *,
        resume: bool = False,
        request: str | m.UnsetType = m.UNSET,
    ) -> None:
        """Say goodbye to a socket and close it; from now on nothing that it says counts."""
        known = self.sockets.get(socket)
        if known is None or known.standing is Standing.DISMISSED:
            return
        known.standing = Standing.DISMISSED
        known.session = None
        self.strangers.pop(socket, None)
        self.do(
            Send((socket,), m.Goodbye(code=code, message=text, resume=resume, request=request)),
            CloseSocket(socket, close, code),
        )
