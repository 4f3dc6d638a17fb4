"""A path: what datagrams leave by, and the address at its other end."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

# No SRTP or DTLS packet of a browser is larger, and libsrtp takes none that is.
MAX_DATAGRAM_BYTES: Final = 1500
# What recvfrom gives and sendto takes, (host, port) or (host, port, flow, scope), or `tcp_address`.
Address = Any
_TCP: Final = "tcp"


def tcp_address(host: str, port: int) -> Address:
    """The address of a connection's other end: never equal to one of UDP, whose port may be the same."""
    return host, port, _TCP


class MediaSocket(Protocol):
    """What datagrams leave by: the socket of a local address, or a TCP connection."""

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one at once."""

    def send_queue(self, queue: list[bytes], address: Address) -> None:
        """Send many in order."""


class Path(NamedTuple):
    """Where datagrams come from and go to."""

    socket: MediaSocket
    address: Address

    @property
    def on_tcp(self) -> bool:
        """Whether it is a connection."""
        return bool(self.address[-1] == _TCP)
