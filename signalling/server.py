"""The shell of the conference: leads events in, carries commands out, and keeps the clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable

from starlette.websockets import WebSocket

from sfu.media_plane import MediaPlane

from . import control, migration
from . import messages as m
from .commands import CloseCode, CloseSocket, Command, ReadLater, Record, Send, Verified
from .conference import Conference
from .events import Event, Instant, MediaHappened, ShutdownBegan, SocketId, Tick
from .media_work import MediaWork
from .metrics import Metrics
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
        *,
        outbox_messages: int,
        outbox_bytes: int,
    ) -> None:
        self._conference = conference
        self._media = media
        self._metrics = metrics
        self._new_outbox: Callable[[], Outbox] = lambda: Outbox(outbox_messages, outbox_bytes)
        self._connections: dict[SocketId, Connection] = {}
        self._verified: dict[SocketId, Callable[[], None]] = {}  # of strangers: whom to tell
        self._ids = itertools.count(1)
        self._work: MediaWork | None = None
        self._empty = asyncio.Event()  # no connection is open
        self._empty.set()

    async def run(self) -> None:
        """Keep time and consume media events until cancelled; media commands need this to run."""
        async with asyncio.TaskGroup() as tasks:
            self._work = MediaWork(self._media, tasks, self.dispatch, self._metrics.media_failed)
            tasks.create_task(self._tick(), name="tick")
            async for event in self._media.events():
                self.dispatch(MediaHappened(event))
            log.error("The media plane ended its events")

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

    async def migrate(self, url: str, reason: str, spread: float, patience: float) -> None:
        """Ask every client within `spread` seconds to go on at `url`; wait at most `patience` seconds until all did."""
        self.moderate(lambda conference: migration.begin(conference, url, reason, spread=spread, patience=patience))
        await self._until_empty(patience)

    async def shut_down(self, patience: float) -> None:
        """Tell every client to go and wait at most `patience` seconds until their sockets are closed."""
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
            self._metrics.internal_errors.inc()
            commands = self._conference.take_commands()
            socket = getattr(event, "socket", None)
            if socket is not None:
                commands.append(CloseSocket(socket, CloseCode.INTERNAL, "internal_error"))
        self._execute_all(commands)

    def moderate(self, act: Callable[[Conference], None]) -> None:
        """Carry out a verb of moderation.py that came from outside of every room. Raises Refused."""
        conference = self._conference
        conference.at = Instant(time.monotonic(), time.time())
        try:
            act(conference)
        finally:
            self._execute_all(conference.take_commands())

    def _execute_all(self, commands: Iterable[Command]) -> None:
        for command in commands:
            try:
                self._execute(command)
            except Exception:
                log.exception("A command failed: %s", type(command).__name__)
                self._metrics.internal_errors.inc()

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
            case _:
                if self._work is not None:
                    self._work.do(command)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.dispatch(Tick())
