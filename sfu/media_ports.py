"""Where media arrives: the UDP port, and where that is wanted and free, the TCP port of the same number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from .addresses import LocalAddress
from .candidates import Candidate
from .counters import Counters
from .demux import Demux
from .media_port import MediaPort
from .path import Path
from .tcp_port import TcpPort

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 20


class MediaPorts:
    """Bound when made; they read from `open` to `close`. UDP is what a call needs, TCP what some clients do."""

    def __init__(
        self,
        addresses: Sequence[LocalAddress],
        port: int,
        tcp: bool,
        counters: Counters,
        demux: Demux,
        after_batch: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """Raises OSError if an address or the UDP port cannot be had."""
        for attempt in range(_ATTEMPTS):
            self._udp = MediaPort(addresses, port, counters, demux.on_datagram, after_batch)
            self._tcp: TcpPort | None = None
            self.number = self._udp.number
            if not tcp:
                return
            try:
                self._tcp = TcpPort(
                    addresses,
                    self.number,
                    counters,
                    demux.on_datagram,
                    demux.lost,
                    demux.believes,
                    after_batch,
                    clock,
                )
                return
            except OSError as error:
                if port or attempt == _ATTEMPTS - 1:
                    log.warning("no media on TCP, as its port %d cannot be had: %s", self.number, error)
                    return
                self._udp.close()  # with port 0, another number may be free for both

    def open(self) -> None:
        """Begin to read."""
        self._udp.open()
        if self._tcp is not None:
            self._tcp.open()

    def close(self) -> None:
        """Stop reading and release the ports."""
        self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    def give_queues(self, paths: Iterable[Path], now: float) -> None:
        """Let those of these paths that are on UDP have a queue of their own; a connection is one already."""
        self._udp.give_queues(paths, now)

    def sweep(self, now: float) -> None:
        """End connections that are of no use any more. Call it about once a second."""
        if self._tcp is not None:
            self._tcp.sweep(now)

    @property
    def announced(self) -> list[tuple[str, int]]:
        """Where clients send media to by UDP: host and port of each candidate."""
        return [(one.address, one.port) for one in self._udp.candidates()]

    def announce(self, host: str, public: str) -> None:
        """Name `public` for the local address `host`, for both."""
        self._udp.announce(host, public)
        if self._tcp is not None:
            self._tcp.announce(host, public)

    def candidates(self) -> list[Candidate]:
        """All our addresses, UDP first."""
        return self._udp.candidates() + (self._tcp.candidates() if self._tcp is not None else [])

    def counts(self) -> dict[str, int]:
        """What the kernel threw away because we did not read fast enough, by metric name."""
        return self._udp.counts()

    def gauges(self) -> dict[str, float]:
        """What the kernel gave us, and who is connected, by metric name."""
        tcp = self._tcp.gauges() if self._tcp is not None else {}
        return self._udp.gauges() | {"media_tcp_listening": float(self._tcp is not None)} | tcp
