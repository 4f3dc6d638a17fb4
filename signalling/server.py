"""The shell of the conference: leads events in, carries commands out, and keeps the clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from starlette.websockets import WebSocket

from sfu.media_plane import MediaPlane
from state.link import Link
from state.news import News

from . import control, degradation, migration
from . import messages as m
from .commands import CloseCode, CloseSocket, Command, Logged, ReadLater, Record, Send, Verified
from .conference import Conference
from .events import Event, Instant, MediaHappened, NewsHeard, ShutdownBegan, SocketId, Tick
from .media_work import MediaWork
from .metrics import Metrics
from .metrics_shared import SharedMetrics
from .outbox import Outbox
from .websocket import Connection

log = logging.getLogger(__name__)

TICK = 0.25  # seconds; how exact timeouts are


class Server:
    """Owns every connection and every task of the control plane while `run` runs."""

    def __init__(
        self,
        conference: Conference,
        media: MediaPlane,
        metrics: Metrics,
        shared: SharedMetrics,
        link: Link | None = None,
        *,
        outbox_messages: int,
        outbox_bytes: int,
    ) -> None:
        self._conference = conference
        self._media = media
        self._metrics = metrics
        self._shared = shared
        self._link = link
        if link is not None:
            link.heard, link.failed = self._heard, self._failed
        self._new_outbox: Callable[[], Outbox] = lambda: Outbox(outbox_messages, outbox_bytes)
        self._connections: dict[SocketId, Connection] = {}
        self._verified: dict[SocketId, Callable[[], None]] = {}  # of strangers: whom to tell
        self._ids = itertools.count(1)
        self._work: MediaWork | None = None
        self.is_ending = False  # it was asked to end, and hands its people over
        self._empty = asyncio.Event()  # no connection is open
        self._empty.set()

    async def run(self) -> None:
        """Keep time and consume media events until cancelled; media commands need this to run."""
        async with asyncio.TaskGroup() as tasks:
            self._work = MediaWork(self._media, tasks, self.dispatch, self._metrics.media_failed)
            tasks.create_task(self._tick(), name="tick")
            if self._link is not None:
                tasks.create_task(self._link.run(), name="sharing")
            async for event in self._media.events():
                self.dispatch(MediaHappened(event))
            log.error("The media plane ended its events")

    @property
    def is_starting(self) -> bool:
        """Whether `run` has not begun."""
        return self._work is None

    @property
    def is_secure(self) -> bool:
        """Whether clients reach this instance by TLS, as it tells the others."""
        return self._link is not None and self._link.sharing.record.url.startswith("wss:")

    def origins(self) -> Iterator[str]:
        """The origins of pages that other instances serve."""
        return self._conference.cluster.origins()

    def must_wait(self, address: str) -> float:
        """Seconds for which an address from which too much failed opens no connection; 0.0 for all others."""
        return self._conference.failures.wait(address, time.monotonic())

    async def serve(self, websocket: WebSocket, address: str, url: str, verified: Callable[[], None]) -> None:
        """Serve one accepted WebSocket until it is closed; `verified` is called when it has shown a valid token."""
        connection = Connection(SocketId(next(self._ids)), websocket, self._new_outbox(), self._metrics.limit_refused)
        self._connections[connection.id] = connection
        self._verified[connection.id] = verified
        self._empty.clear()
        try:
            await connection.serve(address, url, self.dispatch)
        finally:
            del self._connections[connection.id]
            self._verified.pop(connection.id, None)
            if not self._connections:
                self._empty.set()

    async def retire(self) -> bool:
        """Have other instances send nobody here any more, and give them a moment to hear of it.

        Returns False if there is none that could take our people.
        """
        self.is_ending = True
        if self._link is None:
            return False
        sharing = self._link.sharing
        sharing.set_record(time.monotonic(), accepting=False)
        self._link.pump()
        if not any(record.accepting and record.url for record in sharing.members.nodes.values()):
            return False
        if self._connections and sharing.view.is_connected():
            await asyncio.sleep(2 * sharing.timing.canary)
        return True

    async def migrate(self, url: str, reason: str, spread: float, patience: float) -> None:
        """Ask every client within `spread` seconds to go on at `url`; wait at most `patience` seconds until all did."""
        self.is_ending = True
        self.act(lambda conference: migration.begin(conference, url, reason, spread=spread, patience=patience))
        await self._until_empty(patience)

    async def shut_down(self, patience: float) -> None:
        """Tell every client to go and wait at most `patience` seconds until their sockets are closed."""
        self.is_ending = True
        self.dispatch(ShutdownBegan())
        await self._until_empty(patience)

    async def _until_empty(self, patience: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._empty.wait()

    def dispatch(self, event: Event) -> None:
        """Let the conference handle an event, and do what it wants. One event after the other: nothing here awaits."""
        try:
            commands = control.handle(self._conference, event, Instant(time.monotonic(), time.time()))
        except Exception:
            # A fault of ours in one client's event must not end everybody's calls.
            log.exception("The conference failed at %s", type(event).__name__)
            self._failed()
            commands = self._conference.take_commands()
            socket = getattr(event, "socket", None)
            if socket is not None:
                commands.append(CloseSocket(socket, CloseCode.INTERNAL, "internal_error"))
        self._finish(commands)

    def act(self, wish: Callable[[Conference], None]) -> None:
        """Do to the conference what is asked from outside of it, by an operator or this process. Raises Refused."""
        conference = self._conference
        conference.at = Instant(time.monotonic(), time.time())
        try:
            wish(conference)
        finally:
            self._finish(conference.take_commands())

    def _heard(self, news: News) -> None:
        self._shared.heard(news)
        self.dispatch(NewsHeard(news))

    def _failed(self) -> None:
        self._metrics.internal_errors.inc()
        self._shared.failed(degradation.fallbacks(self._conference))

    def _finish(self, commands: Iterable[Command]) -> None:
        self._execute_all(commands)
        try:
            self._share()
        except Exception:
            log.exception("What changed here cannot be handed to the other instances")
            self._failed()

    def _share(self) -> None:
        """Hand what changed here to the other instances."""
        conference = self._conference
        members = conference.rooms.take_changed()
        settings = {room: conference.doors.of(room) for room in conference.doors.take_changed()}
        if self._link is not None and (members or settings):
            sizes = {"rooms": len(conference.rooms), "participants": len(conference.sessions)}
            conference.cluster.share(members, settings, time.monotonic(), **sizes)
        if self._link is not None:
            self._link.pump()

    def _execute_all(self, commands: Iterable[Command]) -> None:
        for command in commands:
            try:
                self._execute(command)
            except Exception:
                log.exception("A command failed: %s", type(command).__name__)
                self._failed()

    def _execute(self, command: Command) -> None:
        match command:
            case Send(sockets, message):
                self._metrics.sent(message, len(sockets))
                text = m.dump(message)
                for socket in sockets:
                    connection = self._connections.get(socket)
                    if connection is not None:
                        connection.send(text)
            case CloseSocket(socket, code, reason):
                connection = self._connections.get(socket)
                if connection is not None:
                    connection.close(code, reason)
            case ReadLater(socket, seconds):
                connection = self._connections.get(socket)
                if connection is not None:
                    connection.read_later(seconds)
            case Verified(socket):
                told = self._verified.pop(socket, None)
                if told is not None:
                    told()
            case Record(action, room, by, whom):
                self._metrics.moderated(action)
                log.info("Moderation in room %r: %s of %r by %r", room, action, whom, by)
            case Logged(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case _:
                if self._work is not None:
                    self._work.do(command)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.dispatch(Tick())
