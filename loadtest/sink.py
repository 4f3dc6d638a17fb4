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


class Sink:
    """The far end. `addresses` are those of its sockets."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.addresses: list[Address] = [("127.0.0.1", int(port)) for port in self._line().split()]

    def received(self) -> int:
        """How many datagrams came so far."""
        if self._process.stdin is not None:
            self._process.stdin.write("?\n")
            self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        return self._process.stdout.readline() if self._process.stdout is not None else ""


@contextmanager
def sink(sockets: int) -> Iterator[Sink]:
    """Run one until the block ends."""
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "loadtest.sink", str(sockets)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Sink(process)
    finally:
        process.communicate()  # closes its input, which ends it


def _drain(count: int) -> None:
    """Print the ports, then read; each line of the standard input is answered with the count, its end is ours."""
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
    received = 0
    while True:
        for key, _ in selector.select():
            if key.data is None:
                if not sys.stdin.readline():
                    return
                print(received, flush=True)
                continue
            try:
                while True:
                    key.data(_HEADER_BYTES)
                    received += 1
            except BlockingIOError:
                continue


if __name__ == "__main__":
    _drain(int(sys.argv[1]))
