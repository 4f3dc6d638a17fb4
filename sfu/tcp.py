"""One TCP connection of the media port: a path like any other, on which datagrams travel in frames."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Final

from .counters import Counters
from .framing import Deframer, framed_together
from .path import MAX_DATAGRAM_BYTES, Address, tcp_address
from .write_queue import WriteQueue

log = logging.getLogger(__name__)

# Less than a byte and a kind of packet is no datagram of ours.
_SMALLEST: Final = 2
# What is read at once. More would take longer than a batch of a participant's datagrams does.
_READ_BYTES: Final = 16 * 1024
# What the kernel holds that is not on its way yet. More would only be later; less would make more wake-ups.
_NOT_SENT_BYTES: Final = 16 * 1024


class TcpConnection:
    """`watch` is called with this connection when what `waits` or `paused` say has changed."""

    def __init__(
        self,
        kernel: socket.socket,
        peer: Address,
        counters: Counters,
        clock: Callable[[], float],
        watch: Callable[[TcpConnection], None],
    ) -> None:
        """Raises OSError if the connection is already gone."""
        self.kernel = kernel
        self.number = kernel.fileno()
        self.address = tcp_address(*peer[:2])
        self.closed = False
        self.paused = False  # nothing is read
        self.heard_at = clock()
        self._counters, self._clock, self._watch = counters, clock, watch
        self._incoming = Deframer(_SMALLEST, MAX_DATAGRAM_BYTES)
        self._outgoing = WriteQueue()
        kernel.setblocking(False)
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)

    # ------------------------------------------------------------------------------------------- reading

    def receive(self) -> bool:
        """Read once, unless a datagram is there already. False: the other side has closed.

        Raises OSError if the connection broke, FramingError if nothing on it will make sense.
        """
        if self._incoming.ready:
            return True
        try:
            data = self.kernel.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return True
        self.heard_at = self._clock()
        self._incoming.feed(data)
        return bool(data)

    def next(self) -> bytes | None:
        """A datagram that was read. Raises FramingError."""
        return self._incoming.next()

    @property
    def ready(self) -> bool:
        """Whether `next` has one. Raises FramingError."""
        return self._incoming.ready

    def pause(self, paused: bool) -> None:
        """Stop or go on reading; meanwhile what the client sends waits in its own network."""
        if paused != self.paused:
            self.paused = paused
            self._watch(self)

    # ------------------------------------------------------------------------------------------- writing

    @property
    def waits(self) -> bool:
        """Whether something waits until the kernel takes it."""
        return self._outgoing.size > 0

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram at once (STUN, DTLS)."""
        self._write([datagram])

    def send_queue(self, queue: list[bytes], address: Address) -> None:
        """Send a queue of datagrams in order, with one system call."""
        counters = self._counters
        counters.packets_forwarded += len(queue)
        counters.bytes_forwarded += sum(map(len, queue))
        self._write(queue)

    def writable(self) -> None:
        """The kernel takes bytes again."""
        outgoing = self._outgoing
        if outgoing.size:
            outgoing.wrote(self._to_kernel(outgoing.head()))
            if not outgoing.size:
                self._watch(self)

    def _write(self, datagrams: list[bytes]) -> None:
        if self.closed:
            self._counters.send_failures += len(datagrams)
            return
        outgoing = self._outgoing
        if outgoing.size:
            outgoing.add(datagrams, self._clock())
        else:
            data = framed_together(datagrams)
            written = self._to_kernel(data)
            if written == len(data):
                return
            outgoing.add_rest(datagrams, written, self._clock())
            self._watch(self)
        if outgoing.dropped_datagrams:
            self._counters.tcp_packets_dropped += outgoing.dropped_datagrams
            self._counters.tcp_bytes_dropped += outgoing.dropped_bytes
            outgoing.dropped_datagrams = outgoing.dropped_bytes = 0

    def _to_kernel(self, data: bytes) -> int:
        try:
            return self.kernel.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:  # it broke: reading tells, and closes it
            log.debug("send: %s", error)
            return 0

    def close(self) -> None:
        """Let go of it; what is sent afterwards is lost."""
        self.closed = True
        self.kernel.close()
