"""The media port: one socket for each local address on one UDP port, and a queue of its own for each participant.

The kernel gives what comes from a participant's address to the socket that is connected to it, so that strangers, who
share the other queue, cannot crowd it out (docs/decisions/0012-a-queue-for-each-participant.md).
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import select
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from .addresses import LocalAddress
from .candidates import Candidate, candidate_priority
from .counters import Counters
from .path import Path
from .receive_queue import Handle, ReceiveQueue
from .udp import UdpSocket

log = logging.getLogger(__name__)

_ATTEMPTS = 20
# For each stranger's datagram the kernel walks past all sockets of the port, 7 ns each. More would make that dearer
# than what it does otherwise; fewer would leave participants of one process in the queue of strangers.
MOST_OWN_QUEUES: Final = 256
# Queues read in one wake-up. The kernel hands them out in turns, so that those left over come first next time.
_QUEUES_AT_ONCE: Final = 32
# How long a flooded queue rests. Longer would lose more of what newcomers send into the same queue; shorter would give
# strangers more of our time: a batch takes 0.5 ms to 1 ms.
REST: Final = 0.002
# How long to do without more queues when the system gives none, in seconds.
_RETRY_AFTER: Final = 5.0


class MediaPort:
    """Bound when made; it reads from `open` to `close`.

    `handle` is as for ReceiveQueue; `after_batch` runs when what had arrived at a wake-up was handled.
    """

    def __init__(
        self,
        addresses: Sequence[LocalAddress],
        port: int,
        counters: Counters,
        handle: Handle,
        after_batch: Callable[[], None],
    ) -> None:
        """Raises OSError if an address or the port cannot be had."""
        self._counters, self._handle, self._after_batch = counters, handle, after_batch
        self._sockets = self._bind(addresses, port)
        self.number = self._sockets[0].port
        self._poll = select.epoll()
        self._shared = [ReceiveQueue(one, one.kernel, handle, counters, shared=True) for one in self._sockets]
        self._queues = {queue.kernel.fileno(): queue for queue in self._shared}
        self._own: dict[Path, ReceiveQueue] = {}
        self._without = 0  # paths in use that have no queue of their own
        self._retry_at = -math.inf
        self._drops_of_closed = 0
        # Each participant has a WebSocket too, and the rest of the process needs some.
        self._most_own = min(MOST_OWN_QUEUES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    def _bind(self, addresses: Sequence[LocalAddress], port: int) -> list[UdpSocket]:
        if not addresses:
            raise OSError("no local address for media")
        for attempt in range(_ATTEMPTS):
            sockets: list[UdpSocket] = []
            try:
                for address in addresses:
                    number = sockets[0].port if sockets else port
                    sockets.append(UdpSocket(address, number, self._counters))
            except OSError:
                # With port 0 the first socket's port may be taken on another address: draw again.
                for socket in sockets:
                    socket.close()
                if port or not sockets or attempt == _ATTEMPTS - 1:
                    raise
                continue
            return sockets
        raise AssertionError("unreachable")

    def open(self) -> None:
        """Begin to read."""
        for queue in self._shared:
            self._poll.register(queue.kernel, select.EPOLLIN)
        # One poll of ours among those of the loop: it keeps what arrived together in one batch, and goes on where
        # libuv would stop to watch a socket because of an ICMP error.
        asyncio.get_running_loop().add_reader(self._poll, self._readable)

    def close(self) -> None:
        """Stop reading and release the port."""
        asyncio.get_running_loop().remove_reader(self._poll)
        self._poll.close()
        for queue in self._own.values():
            queue.kernel.close()
        for socket in self._sockets:
            socket.close()
        self._own.clear()
        self._queues.clear()

    # ------------------------------------------------------------------------------------------- reading

    def _readable(self) -> None:
        strangers: list[ReceiveQueue] = []
        for number, _ in self._poll.poll(0, _QUEUES_AT_ONCE):
            queue = self._queues[number]
            if queue.shared:
                strangers.append(queue)
            else:
                self._read(queue)
        for queue in strangers:
            self._read(queue)
        self._after_batch()

    def _read(self, queue: ReceiveQueue) -> None:
        if queue.read() and queue.flooded:
            self._counters.queue_rests += 1
            self._poll.modify(queue.kernel, 0)
            asyncio.get_running_loop().call_later(REST, self._go_on, queue)

    def _go_on(self, queue: ReceiveQueue) -> None:
        if not self._poll.closed and queue.kernel.fileno() in self._queues:
            self._poll.modify(queue.kernel, select.EPOLLIN)

    # ------------------------------------------------------------------------------------------- own queues

    def give_queues(self, paths: Iterable[Path], now: float) -> None:
        """Let those of these paths that are ours, and no other, have a queue of their own, if there are enough."""
        wanted = {path: path.socket for path in paths if isinstance(path.socket, UdpSocket)}
        for path in [path for path in self._own if path not in wanted]:
            self._take_back(path)
        missing = [path for path in wanted if path not in self._own]
        self._without = len(missing)
        del missing[self._most_own - len(self._own) :]
        if now < self._retry_at:
            return
        for path in missing:
            try:
                self._give(path, wanted[path])
            except OSError as error:
                self._counters.own_queues_failed += 1
                self._retry_at = now + _RETRY_AFTER
                log.warning("a participant shares the receive queue of strangers: %s", error)

    def _give(self, path: Path, udp: UdpSocket) -> None:
        kernel = udp.connected(path.address)
        self._poll.register(kernel, select.EPOLLIN)
        queue = ReceiveQueue(udp, kernel, self._handle, self._counters, shared=False)
        self._own[path] = self._queues[kernel.fileno()] = queue
        self._without -= 1

    def _take_back(self, path: Path) -> None:
        queue = self._own.pop(path)
        self._poll.unregister(queue.kernel)
        queue.drain()
        self._drops_of_closed += queue.drops
        del self._queues[queue.kernel.fileno()]
        queue.kernel.close()

    # ------------------------------------------------------------------------------------------- for others

    def announce(self, host: str, public: str) -> None:
        """Name `public` for the local address `host`."""
        for socket in self._sockets:
            socket.local = socket.local.announced_as(host, public)

    def candidates(self) -> list[Candidate]:
        """All our addresses, in the order they were given; loopback is of use to one machine only, so it is last."""
        ordered = sorted(self._sockets, key=lambda one: one.local.is_loopback())
        return [
            Candidate(*socket.announced, candidate_priority("host", 65535 - number), str(number + 1))
            for number, socket in enumerate(ordered)
        ]

    def counts(self) -> dict[str, int]:
        """What the kernel threw away because we did not read fast enough, by metric name."""
        shared = sum(queue.drops for queue in self._shared)
        own = self._drops_of_closed + sum(queue.drops for queue in self._own.values())
        return {"udp_kernel_drops_total": shared + own, "udp_kernel_drops_of_participants_total": own}

    def gauges(self) -> dict[str, float]:
        """What the kernel gave us, by metric name."""
        return {
            "media_gso_enabled": float(any(socket.gso for socket in self._sockets)),
            "media_receive_buffer_bytes": float(min(socket.receive_buffer for socket in self._sockets)),
            "media_send_buffer_bytes": float(min(socket.send_buffer for socket in self._sockets)),
            "media_own_queues": float(len(self._own)),
            "media_peers_without_own_queue": float(self._without),
        }
