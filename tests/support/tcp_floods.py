"""Floods of TCP connections on the media port of a server on loopback, none of which belongs to a call."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

from sfu import stun
from sfu.framing import framed

HELD = 900  # at once: many more than a server lets strangers have
PACE = 0.3  # seconds between two pieces on one connection
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed leaves nothing behind


def idle() -> Iterator[bytes]:
    """Nothing, ever."""
    return iter(())


def dribble() -> Iterator[bytes]:
    """A frame of 1,500 bytes, byte by byte."""
    return (bytes([byte]) for byte in itertools.chain(b"\x05\xdc\0\1", itertools.repeat(0)))


def junk() -> Iterator[bytes]:
    """Frames of noise of every kind, a check with a guessed password, and what no frame begins with."""
    guessed = stun.binding_request(os.urandom(12), "nobody:me", "guessed" * 4, 1, 1, nominate=True)
    kinds = [bytes([first]) + os.urandom(199) for first in (0, 1, 20, 22, 128, 200, 255)]
    pieces = [*map(framed, (*kinds, guessed)), b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff" + bytes(100)]
    return itertools.cycle(pieces[os.getrandom(1)[0] % len(pieces) :] + pieces)


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {"idle": idle, "dribble": dribble, "junk": junk}


def tcp_flood(port: int, seconds: float, kind: str, addresses: int) -> int:
    """Hold as many connections as one is given, from so many addresses, and open another for each that is ended.

    The first address is that of everybody on loopback, a newcomer's own. How many were opened.
    """
    sources = itertools.cycle([f"127.0.0.{1 + number}" for number in range(addresses)])
    held: dict[int, tuple[socket.socket, Iterator[bytes]]] = {}
    opened, until, next_pieces = 0, time.monotonic() + seconds, 0.0
    with select.epoll() as ended:
        while (now := time.monotonic()) < until:
            for number, _ in ended.poll(0.002):  # nothing is ever said to a stranger: this is the end
                held.pop(number)[0].close()
            while len(held) < HELD:
                made = _connection(next(sources), port)
                ended.register(made, select.EPOLLIN)
                held[made.fileno()] = made, KINDS[kind]()
                _say(*held[made.fileno()])
                opened += 1
            if now >= next_pieces:
                next_pieces = now + PACE
                for one in held.values():
                    _say(*one)
    for made, _ in held.values():
        made.close()
    return opened


def _connection(source: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((source, 0))
    with contextlib.suppress(BlockingIOError):
        made.connect(("127.0.0.1", port))
    return made


def _say(made: socket.socket, pieces: Iterator[bytes]) -> None:
    """The next piece, if the connection stands."""
    with contextlib.suppress(OSError):
        made.send(next(pieces, b""))
