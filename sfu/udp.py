"""The UDP port: one socket per local address, read in batches and flushed in runs (Linux).

A run of equal-sized packets to one address leaves in a single system call with UDP_SEGMENT (generic segmentation
offload, udp(7)); that, not the encryption, is what a Python forwarder has to save.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

from .addresses import LocalAddress
from .counters import Counters

log = logging.getLogger(__name__)

_UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_SO_MEMINFO = 55  # asm-generic/socket.h: nine numbers of 32 bits, the last is how many datagrams did not fit
_DROPS = 8
# The kernel's default holds 92 packets, less than one burst of keyframes.
_BUFFER_BYTES = 4 * 1024 * 1024
# Reading until the socket is empty would starve everything else under a flood.
BATCH_DATAGRAMS = 256
# The kernel takes 64; home routers like shorter bursts.
_MAX_SEGMENTS = 16
_READ_BYTES = 2048
# Errors that mean "not segmented like this, to this address" (a small route MTU, a device without the feature).
_NO_GSO = {errno.EMSGSIZE, errno.EINVAL, errno.EIO}

Address = Any  # what recvfrom gives and sendto takes: (host, port) or (host, port, flow, scope)


class UdpSocket:
    """One bound socket. `handle` gets (socket, datagram, address); `after_batch` runs when a batch was handled."""

    def __init__(
        self,
        bind: LocalAddress,
        port: int,
        counters: Counters,
        handle: Callable[[UdpSocket, bytes, Address], None],
        after_batch: Callable[[], None],
    ) -> None:
        """Raises OSError if the address cannot be bound."""
        self.local = bind
        self._counters = counters
        self._handle = handle
        self._after_batch = after_batch
        family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.receive_buffer = _enlarge(self._socket, socket.SO_RCVBUF, _SO_RCVBUFFORCE)
        self.send_buffer = _enlarge(self._socket, socket.SO_SNDBUF, _SO_SNDBUFFORCE)
        if min(self.receive_buffer, self.send_buffer) < _BUFFER_BYTES:
            _warn_of_small_buffers(self.receive_buffer, self.send_buffer)
        try:
            self._socket.bind((bind.host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.gso = _gso_works()
        self._single: set[Address] = set()
        self._recvfrom = self._socket.recvfrom
        self._sendmsg = self._socket.sendmsg
        self._sendto = self._socket.sendto

    @property
    def announced(self) -> tuple[str, int]:
        """The address for the candidate line."""
        return self.local.public_host or self.local.host, self.local.public_port or self.port

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel received and threw away because we did not read fast enough."""
        try:
            numbers = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
        except OSError:  # closed, or a kernel that does not tell
            return 0
        return int(struct.unpack_from("=I", numbers, 4 * _DROPS)[0]) if len(numbers) > 4 * _DROPS else 0

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        loop.add_reader(self._socket, self._readable)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop reading and release the port."""
        loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        receive, handle = self._recvfrom, self._handle
        for _ in range(BATCH_DATAGRAMS):
            try:
                datagram, address = receive(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:  # an ICMP error about something sent before; reading goes on
                log.debug("receive: %s", error)
                continue
            try:
                handle(self, datagram, address)
            except Exception:  # a fault that one datagram provokes must not reach the others' calls
                self._counters.media_internal_errors += 1
                log.exception("a datagram of %d bytes", len(datagram))
        self._after_batch()

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram at once (STUN, DTLS)."""
        try:
            self._socket.sendto(datagram, address)
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


def _enlarge(sock: socket.socket, option: int, force: int) -> int:
    """The bytes we got: past net.core.*mem_max only root may go."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, _BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
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
