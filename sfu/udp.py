"""A socket of the media port: all that we send from a local address leaves by it, in runs (Linux).

A run of equal-sized packets to one address leaves in a single system call with UDP_SEGMENT (generic segmentation
offload, udp(7)); that, not the encryption, is what a Python forwarder has to save.
"""

from __future__ import annotations

import errno
import functools
import logging
import socket
import struct

from .addresses import LocalAddress
from .counters import Counters
from .path import Address

log = logging.getLogger(__name__)

_UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_SO_MEMINFO = 55  # asm-generic/socket.h: nine numbers of 32 bits, the last is how many datagrams did not fit
_DROPS = 8
# The kernel's default holds 92 packets, less than one burst of keyframes.
_BUFFER_BYTES = 4 * 1024 * 1024
# For what one participant sends: a quarter of a second of the most that it may publish. More is memory that each could
# fill; less loses packets when the machine stands still.
_OWN_BUFFER_BYTES = 1024 * 1024
# The kernel takes 64; home routers like shorter bursts.
_MAX_SEGMENTS = 16
# Errors that mean "not segmented like this, to this address" (a small route MTU, a device without the feature).
_NO_GSO = {errno.EMSGSIZE, errno.EINVAL, errno.EIO}


class UdpSocket:
    """One bound socket. Whoever reads it does so by `kernel`."""

    def __init__(self, bind: LocalAddress, port: int, counters: Counters) -> None:
        """Raises OSError if the address cannot be bound."""
        self.local = bind
        self._counters = counters
        self.kernel = _new_socket(bind)
        self.receive_buffer = _enlarge(self.kernel, socket.SO_RCVBUF, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self.send_buffer = _enlarge(self.kernel, socket.SO_SNDBUF, _SO_SNDBUFFORCE, _BUFFER_BYTES)
        if min(self.receive_buffer, self.send_buffer) < _BUFFER_BYTES:
            _warn_of_small_buffers(self.receive_buffer, self.send_buffer)
        try:
            self.kernel.bind((bind.host, port))
        except OSError:
            self.kernel.close()
            raise
        self.port: int = self.kernel.getsockname()[1]
        self.gso = _gso_works()
        self._single: set[Address] = set()
        self._sendmsg = self.kernel.sendmsg
        self._sendto = self.kernel.sendto

    @property
    def announced(self) -> tuple[str, int]:
        """The address for the candidate line."""
        return self.local.public_host or self.local.host, self.local.public_port or self.port

    def close(self) -> None:
        """Release the port."""
        self.kernel.close()

    def connected(self, address: Address) -> socket.socket:
        """A socket on the same port to which the kernel gives what comes from `address`, and nothing else.

        Until it is connected strangers' datagrams may get into it: who reads it looks at where each came from. Raises
        OSError.
        """
        own = _new_socket(self.local)
        try:
            _enlarge(own, socket.SO_RCVBUF, _SO_RCVBUFFORCE, _OWN_BUFFER_BYTES)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Two sockets share a port if both allow it; ours does at this moment only, so that no other program can
            # take what is meant for us.
            self.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                own.bind((self.local.host, self.port))
            finally:
                self.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            own.connect(address)
        except OSError:
            own.close()
            raise
        return own

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram at once (STUN, DTLS)."""
        try:
            self.kernel.sendto(datagram, address)
        except OSError as error:
            self._failed(error, 1)

    def send_queue(self, queue: list[bytes], address: Address) -> None:
        """Send a queue of datagrams in order."""
        sizes = list(map(len, queue))
        total = len(sizes)
        counters = self._counters
        counters.packets_forwarded += total
        counters.bytes_forwarded += sum(sizes)
        segmented = self.gso and total > 1 and address not in self._single
        first = 0
        while first < total:
            size = sizes[first]
            end = first + 1
            if segmented:
                limit = min(total, first + _MAX_SEGMENTS)
                # All segments have this size but the last, which may be shorter.
                while end < limit and sizes[end] <= size:
                    end += 1
                    if sizes[end - 1] < size:
                        break
            try:
                if end - first == 1:
                    self._sendto(queue[first], address)
                else:
                    self._sendmsg(
                        queue[first:end], [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))], 0, address
                    )
                    counters.gso_packets += end - first
            except OSError as error:
                if end - first > 1 and error.errno in _NO_GSO:
                    log.info("no segmentation offload to %s: %s", address[0], error)
                    if len(self._single) < 10_000:
                        self._single.add(address)
                    segmented = False
                    continue
                self._failed(error, end - first)
            first = end

    def _failed(self, error: OSError, packets: int) -> None:
        """A full buffer, or a route that is gone: the packets are lost, as they would be on the way."""
        self._counters.send_failures += packets
        log.debug("send: %s", error)


def kernel_drops(sock: socket.socket) -> int:
    """Datagrams that the kernel received for a socket and threw away because we did not read fast enough."""
    try:
        numbers = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:  # closed, or a kernel that does not tell
        return 0
    return int(struct.unpack_from("=I", numbers, 4 * _DROPS)[0]) if len(numbers) > 4 * _DROPS else 0


def _new_socket(local: LocalAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _enlarge(sock: socket.socket, option: int, force: int, wanted: int) -> int:
    """The bytes we got: past net.core.*mem_max only root may go."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, wanted)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, option, wanted)
    # socket(7): "The kernel doubles this value (to allow space for bookkeeping overhead)".
    return sock.getsockopt(socket.SOL_SOCKET, option) // 2


@functools.cache
def _warn_of_small_buffers(receive: int, send: int) -> None:
    log.warning(
        "socket buffers of %d and %d bytes instead of %d: bursts will be lost; raise net.core.rmem_max and wmem_max",
        receive,
        send,
        _BUFFER_BYTES,
    )


_gso: bool | None = None


def _gso_works() -> bool:
    """Whether this kernel segments, found out once on loopback."""
    global _gso
    if _gso is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            try:
                receiver.sendmsg(
                    [b"auralink" * 2],
                    [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", 8))],
                    0,
                    receiver.getsockname(),
                )
                _gso = len(receiver.recv(64)) == 8
            except OSError as error:
                log.warning("the kernel has no UDP segmentation offload (%s); each packet is sent on its own", error)
                _gso = False
    return _gso
