"""The media port on TCP, for clients whose network lets no UDP through: it listens, and reads who was let in.

A connection is a stranger's until its first frame is an authentic connectivity check. Strangers are few and have little
time, everybody is read in small batches, and who breaks the rules is disconnected and counted
(docs/decisions/0016-media-on-tcp.md).
"""

from __future__ import annotations

import asyncio
import logging
import resource
import select
import socket
from collections.abc import Callable, Sequence
from typing import Final

from .addresses import LocalAddress
from .candidates import Candidate, tcp_priority
from .counters import Counters
from .framing import FramingError
from .path import Address
from .strangers import MOST, Strangers
from .tcp import TcpConnection

log = logging.getLogger(__name__)

# Connections in all, and a quarter of the file descriptors at most. More cost memory in the kernel; fewer would keep
# people out where everybody's UDP is blocked. A quarter of them is for strangers, whom participants do not crowd out,
# nor the other way round: at its end the stranger that waits longest makes room for the newcomer.
MOST_CONNECTIONS: Final = 1024
# That wait to be accepted. Of more the kernel drops the first packet, and an honest newcomer's is repeated only after a
# second, then two, then four: so more than a crowd brings, which is worked off within a second.
_BACKLOG: Final = 1024
# Accepted in one wake-up, about 30 µs each. After a full batch the listener rests for so many seconds.
_ACCEPTED_AT_ONCE: Final = 16
_ACCEPT_REST: Final = 0.01
# Without file descriptors, and the like, in seconds.
_ACCEPT_RETRY: Final = 1.0
_READ_AT_ONCE: Final = 32
# Frames of one connection in a wake-up, as of a participant's queue.
BATCH: Final = 32
_USEFUL: Final = 8
# After a wake-up that gave nothing whole, or nearly nothing of use, in seconds.
REST: Final = 0.002
# Seconds without a byte after which a connection is closed. A path in use carries a check every 5 s.
SILENCE: Final = 30.0

Handle = Callable[[TcpConnection, bytes, Address], bool]


class TcpPort:
    """Listens when made; it accepts and reads from `open` to `close`.

    `handle` is as for ReceiveQueue, `lost` hears of each connection that has ended, `believed` says whether one still
    belongs to somebody, and `after_batch` runs when what had arrived at a wake-up was handled.
    """

    def __init__(
        self,
        addresses: Sequence[LocalAddress],
        port: int,
        counters: Counters,
        handle: Handle,
        lost: Callable[[TcpConnection], None],
        believed: Callable[[TcpConnection], bool],
        after_batch: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """Raises OSError if the port is taken on one of the addresses."""
        self._counters, self._handle, self._lost, self._believed = counters, handle, lost, believed
        self._after_batch, self._clock = after_batch, clock
        self._port = port
        self._poll = select.epoll()
        self._listeners: dict[int, tuple[socket.socket, LocalAddress]] = {}
        self._connections: dict[int, TcpConnection] = {}
        most = min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._most_proven = most * 3 // 4
        # Whoever is accepted in one wake-up is read before the next are.
        self._strangers: Strangers[TcpConnection] = Strangers(min(MOST, max(most // 4, _ACCEPTED_AT_ONCE)))
        try:
            for address in addresses:
                listener = _listener(address, port)
                self._listeners[listener.fileno()] = listener, address
                self._poll.register(listener, select.EPOLLIN)
        except OSError:
            self.close()
            raise

    def open(self) -> None:
        """Begin to accept and to read."""
        asyncio.get_running_loop().add_reader(self._poll, self._readable)

    def close(self) -> None:
        """End every connection and release the port; may be called twice."""
        if self._poll.closed:
            return
        for connection in list(self._connections.values()):
            self._end(connection)
        asyncio.get_running_loop().remove_reader(self._poll)
        self._poll.close()
        for listener, _ in self._listeners.values():
            listener.close()
        self._listeners.clear()

    # ------------------------------------------------------------------------------------------- accepting

    def _readable(self) -> None:
        for number, events in self._poll.poll(0, _READ_AT_ONCE):
            if number in self._listeners:
                self._accept(number)
            elif (connection := self._connections.get(number)) is not None:
                if events & select.EPOLLOUT:
                    connection.writable()
                if events & ~select.EPOLLOUT:
                    self._read(connection)
        self._after_batch()

    def _accept(self, number: int) -> None:
        listener, _ = self._listeners[number]
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                kernel, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:  # no file descriptors, no memory
                self._counters.tcp_refused["no_socket"] += 1
                log.warning("no media connection can be accepted: %s", error)
                return self._rest(number, _ACCEPT_RETRY)
            self._counters.tcp_connections_accepted += 1
            try:
                self._let_in(kernel, address)
            except OSError as error:
                log.debug("accept: %s", error)
                kernel.close()
        self._rest(number, _ACCEPT_REST)

    def _rest(self, number: int, seconds: float) -> None:
        self._poll.modify(number, 0)
        asyncio.get_running_loop().call_later(seconds, self._go_on, number)

    def _go_on(self, number: int) -> None:
        if number in self._listeners:
            self._poll.modify(number, select.EPOLLIN)

    def _let_in(self, kernel: socket.socket, address: Address) -> None:
        if len(self._connections) - len(self._strangers) >= self._most_proven:
            self._counters.tcp_refused["too_many"] += 1
            kernel.close()
            return
        connection = TcpConnection(kernel, address, self._counters, self._clock, self._watch)
        refusal = self._strangers.enter(connection, address[0], self._clock())
        if refusal is not None:
            self._refuse(*refusal)
        self._connections[connection.number] = connection
        self._poll.register(kernel, select.EPOLLIN)

    # ------------------------------------------------------------------------------------------- reading

    def _read(self, connection: TcpConnection) -> None:
        handled = useful = 0
        try:
            if not connection.receive():
                return self._end(connection)
            while handled < BATCH and (frame := connection.next()) is not None:
                handled += 1
                if connection not in self._strangers:
                    useful += self._used(connection, frame)
                elif frame[0] < 4 and self._used(connection, frame):  # a check, RFC 7983 section 7
                    useful += 1
                    self._strangers.leave(connection)
                else:
                    return self._refuse(connection, "no_authentic_check")
            more = connection.ready
        except FramingError:
            return self._refuse(connection, "no_frame")
        except OSError as error:
            log.debug("receive: %s", error)
            return self._end(connection)
        if not handled or (more and useful * _USEFUL < BATCH):
            self._pause(connection, REST)
        elif more:
            self._pause(connection, 0)

    def _used(self, connection: TcpConnection, frame: bytes) -> bool:
        try:
            return self._handle(connection, frame, connection.address)
        except Exception:  # a fault that one datagram provokes must not reach the others' calls
            self._counters.media_internal_errors += 1
            log.exception("a frame of %d bytes", len(frame))
            return False

    def _pause(self, connection: TcpConnection, seconds: float) -> None:
        """Let others have their turn: reading goes on later, also of what was read already."""
        connection.pause(True)
        asyncio.get_running_loop().call_later(seconds, self._resume, connection)

    def _resume(self, connection: TcpConnection) -> None:
        if not connection.closed:
            connection.pause(False)
            self._read(connection)
            self._after_batch()

    def _watch(self, connection: TcpConnection) -> None:
        events = (0 if connection.paused else select.EPOLLIN) | (select.EPOLLOUT if connection.waits else 0)
        if connection.number in self._connections:
            self._poll.modify(connection.kernel, events)

    # ------------------------------------------------------------------------------------------- ending

    def sweep(self, now: float) -> None:
        """End what is silent or belongs to nobody any more. Call it about once a second."""
        for connection, reason in self._strangers.late(now):
            self._refuse(connection, reason)
        for connection in list(self._connections.values()):
            if connection in self._strangers:
                continue
            if now - connection.heard_at > SILENCE or not self._believed(connection):
                self._end(connection)

    def _refuse(self, connection: TcpConnection, reason: str) -> None:
        self._counters.tcp_refused[reason] += 1
        self._end(connection)

    def _end(self, connection: TcpConnection) -> None:
        self._strangers.leave(connection)
        if self._connections.pop(connection.number, None) is not None:
            self._poll.unregister(connection.kernel)
        connection.close()
        self._lost(connection)

    # ------------------------------------------------------------------------------------------- for others

    def announce(self, host: str, public: str) -> None:
        """Name `public` for the local address `host`."""
        self._listeners = {
            number: (listener, address.announced_as(host, public))
            for number, (listener, address) in self._listeners.items()
        }

    def candidates(self) -> list[Candidate]:
        """Where we listen, in the order that the addresses were given; loopback is last."""
        ordered = sorted((address for _, address in self._listeners.values()), key=LocalAddress.is_loopback)
        return [
            Candidate(
                address.public_host or address.host,
                address.public_port or self._port,
                tcp_priority(number),
                f"tcp{number + 1}",
                transport="tcp",
            )
            for number, address in enumerate(ordered)
        ]

    def gauges(self) -> dict[str, float]:
        """How many are connected, by metric name."""
        return {
            "media_tcp_connections": float(len(self._connections)),
            "media_tcp_strangers": float(len(self._strangers)),
        }


def _listener(local: LocalAddress, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # A server that starts anew need not wait until the connections of the one before are forgotten.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((local.host, port))
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
