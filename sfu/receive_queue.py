"""What the kernel keeps for us to read: one queue for all strangers of a local address, and one for each participant.

A queue is read in batches of bounded size. One that is full of what nobody needs rests between its batches, so that a
flood takes a bounded share of our time, and what is above that costs only the kernel.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Final

from .counters import Counters
from .path import Address
from .udp import UdpSocket, kernel_drops

log = logging.getLogger(__name__)

# Reading until a queue is empty would starve everything else under a flood. A batch of strangers takes half a
# millisecond; a smaller one would cost more wake-ups where many arrive, a larger one delays everybody.
SHARED_BATCH: Final = 256
# Of one participant: two runs of segments. A keyframe takes some of these, between which others have their turn.
OWN_BATCH: Final = 32
# A batch is a flood if less than one of so many datagrams was of use. A busy call has none that is not.
_USEFUL: Final = 8
# What is read when a participant moves away; more would let one that sends without end hold us here.
_DRAIN_BATCHES: Final = 100
_READ_BYTES: Final = 2048

Handle = Callable[[UdpSocket, bytes, Address], bool]


class ReceiveQueue:
    """One socket to read. `handle` gets (socket, datagram, address) and says whether the datagram was of use."""

    __slots__ = ("_counters", "_handle", "_receive", "_udp", "batch", "flooded", "kernel", "shared")

    def __init__(
        self, udp: UdpSocket, kernel: socket.socket, handle: Handle, counters: Counters, *, shared: bool
    ) -> None:
        self.kernel = kernel
        self.shared = shared
        self.batch = SHARED_BATCH if shared else OWN_BATCH
        self.flooded = False  # the last batch was full, and nearly all of it was of no use
        self._udp = udp
        self._handle = handle
        self._counters = counters
        self._receive = kernel.recvfrom

    def read(self) -> bool:
        """Handle a batch. True if there may be more."""
        useful = 0
        receive, handle, udp = self._receive, self._handle, self._udp
        for _ in range(self.batch):
            try:
                datagram, address = receive(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                self.flooded = False
                return False
            except OSError as error:  # an ICMP error about something sent before; reading goes on
                log.debug("receive: %s", error)
                continue
            try:
                useful += handle(udp, datagram, address)
            except Exception:  # a fault that one datagram provokes must not reach the others' calls
                self._counters.media_internal_errors += 1
                log.exception("a datagram of %d bytes", len(datagram))
        self.flooded = useful * _USEFUL < self.batch
        return True

    def drain(self) -> None:
        """Handle what waits, because the socket is about to be closed."""
        for _ in range(_DRAIN_BATCHES):
            if not self.read():
                return

    @property
    def drops(self) -> int:
        """Datagrams that did not fit since the socket was opened."""
        return kernel_drops(self.kernel)
