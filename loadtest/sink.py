"""A process that receives datagrams on many loopback sockets and throws them away, as a far end for measurements."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

Address = tuple[str, int]

_BUFFER_BYTES = 1024 * 1024
_HEADER_BYTES = 16  # the rest of a datagram is cut off by the kernel


@contextmanager
def sink(sockets: int) -> Iterator[list[Address]]:
    """Run one until the block ends; the addresses of its sockets."""
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "loadtest.sink", str(sockets)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the sink has no output")
        yield [("127.0.0.1", int(port)) for port in process.stdout.readline().split()]
    finally:
        process.communicate()  # closes its input, which ends it


def _drain(count: int) -> None:
    """Print the ports, then read until the standard input closes."""
    selector = selectors.DefaultSelector()
    ports = []
    for _ in range(count):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        opened.bind(("127.0.0.1", 0))
        ports.append(opened.getsockname()[1])
        selector.register(opened, selectors.EVENT_READ, opened.recv)
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    print(*ports, flush=True)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            try:
                while True:
                    key.data(_HEADER_BYTES)
            except BlockingIOError:
                continue


if __name__ == "__main__":
    _drain(int(sys.argv[1]))
