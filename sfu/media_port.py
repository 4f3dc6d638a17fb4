"""The media port: one socket for each local address, all on one UDP port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from .addresses import LocalAddress
from .answer import Candidate, candidate_priority
from .counters import Counters
from .udp import Address, UdpSocket

_ATTEMPTS = 20


class MediaPort:
    """Bound when made; it reads from `open` to `close`. `handle` and `after_batch` are as for UdpSocket."""

    def __init__(
        self,
        addresses: Sequence[LocalAddress],
        port: int,
        counters: Counters,
        handle: Callable[[UdpSocket, bytes, Address], None],
        after_batch: Callable[[], None],
    ) -> None:
        """Raises OSError if an address or the port cannot be had."""
        self._counters, self._handle, self._after_batch = counters, handle, after_batch
        self._sockets = self._bind(addresses, port)
        self.number = self._sockets[0].port

    def _bind(self, addresses: Sequence[LocalAddress], port: int) -> list[UdpSocket]:
        if not addresses:
            raise OSError("no local address for media")
        for attempt in range(_ATTEMPTS):
            sockets: list[UdpSocket] = []
            try:
                for address in addresses:
                    number = sockets[0].port if sockets else port
                    sockets.append(UdpSocket(address, number, self._counters, self._handle, self._after_batch))
            except OSError:
                # With port 0 the first socket's port may be taken on another address: draw again.
                for socket in sockets:
                    socket.close(asyncio.get_running_loop())
                if port or not sockets or attempt == _ATTEMPTS - 1:
                    raise
                continue
            return sockets
        raise AssertionError("unreachable")

    def open(self) -> None:
        """Begin to read."""
        for socket in self._sockets:
            socket.open(asyncio.get_running_loop())

    def close(self) -> None:
        """Stop reading and release the port."""
        for socket in self._sockets:
            socket.close(asyncio.get_running_loop())

    def candidates(self) -> list[Candidate]:
        """All our addresses, in the order they were given; loopback is of use to one machine only, so it is last."""
        ordered = sorted(self._sockets, key=lambda s: s.local.host.startswith("127.") or s.local.host == "::1")
        return [
            Candidate(*socket.announced, candidate_priority("host", 65535 - number), str(number + 1))
            for number, socket in enumerate(ordered)
        ]

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away because we did not read fast enough."""
        return sum(socket.kernel_drops for socket in self._sockets)

    def gauges(self) -> dict[str, float]:
        """What the kernel gave us, by metric name."""
        return {
            "media_gso_enabled": float(any(socket.gso for socket in self._sockets)),
            "media_receive_buffer_bytes": float(min(socket.receive_buffer for socket in self._sockets)),
            "media_send_buffer_bytes": float(min(socket.send_buffer for socket in self._sockets)),
        }
