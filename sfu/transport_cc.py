"""Transport-wide congestion control feedback: which packets of a publisher arrived, and when.

Browsers estimate their uplink from it; without it they stay at their start bitrate. The format is that of
draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .sequence import FIRST_CYCLE, extend

_TICK = 0.00025  # receive deltas are in 250 µs
_REFERENCE = 0.064  # the reference time is in 64 ms
_NOT_RECEIVED, _SMALL_DELTA, _LARGE_DELTA = 0, 1, 2

# More packets in one message save overhead on a fast uplink, fewer keep it inside one datagram: 400 packets with
# large deltas take about 900 bytes.
MAX_PACKETS_PER_MESSAGE = 400
# How far a packet may come late and still be reported. A jump further than this starts the numbering anew.
_HISTORY = 1024


class FeedbackRecorder:
    """Collects arrivals and turns them into feedback bodies. All times are in seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._highest = -1
        self._next = -1  # the first index that no message has covered yet
        self._count = 0

    @property
    def pending(self) -> bool:
        """Whether there is something to report."""
        return 0 <= self._next <= self._highest

    def received(self, number: int, now: float) -> None:
        """A packet with the 16-bit transport-wide sequence `number` arrived."""
        if self._highest < 0:
            self._highest = FIRST_CYCLE + number - 1
            self._next = self._highest + 1
        index = extend(number, self._highest)
        if abs(index - self._highest) > _HISTORY:
            self._arrivals.clear()
            index = FIRST_CYCLE + number  # not `index`: many jumps back would lead below zero
            self._highest = index - 1
            self._next = index
        if index in self._arrivals:
            return
        self._arrivals[index] = now
        self._highest = max(self._highest, index)
        self._next = min(self._next, index)
        self._arrivals.pop(index - _HISTORY, None)

    def messages(self) -> Iterator[bytes]:
        """The bodies of the messages that cover everything since the last call."""
        while self.pending:
            # Where the last message ended the next one begins, or what was lost in between would never be told. Its
            # time is that of its first arrival, so a message needs one.
            arrival = self._next
            while arrival not in self._arrivals:
                arrival += 1
            first = max(self._next, arrival - MAX_PACKETS_PER_MESSAGE + 1)
            yield self._message(first, arrival)
        oldest = self._highest - _HISTORY
        if len(self._arrivals) > 2 * _HISTORY:
            self._arrivals = {index: at for index, at in self._arrivals.items() if index > oldest}

    def _message(self, first: int, arrival: int) -> bytes:
        """The message from `first` on, whose first packet that arrived is `arrival`; moves `_next` behind its end."""
        reference = int(self._arrivals[arrival] / _REFERENCE)
        clock = reference * round(_REFERENCE / _TICK)
        symbols: list[int] = []
        deltas = bytearray()
        for index in range(first, min(self._highest + 1, first + MAX_PACKETS_PER_MESSAGE)):
            at = self._arrivals.get(index)
            if at is None:
                symbols.append(_NOT_RECEIVED)
                continue
            delta = round(at / _TICK) - clock
            if not -0x8000 <= delta <= 0x7FFF:  # eight seconds apart: that takes a message with a new reference
                break
            clock += delta
            if 0 <= delta <= 0xFF:
                symbols.append(_SMALL_DELTA)
                deltas.append(delta)
            else:
                symbols.append(_LARGE_DELTA)
                deltas += struct.pack("!h", delta)
        head = struct.pack("!HHI", first & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | self._count)
        self._count = (self._count + 1) & 0xFF
        self._next = first + len(symbols)
        body = head + b"".join(_chunks(symbols)) + deltas
        return body + bytes(-len(body) % 4)


def _chunks(symbols: list[int]) -> Iterator[bytes]:
    """Run-length chunks for runs of more than seven, two-bit status vectors of seven symbols for the rest."""
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and symbols[at + run] == symbols[at] and run < 0x1FFF:
            run += 1
        if run > 7 or at + run == len(symbols):
            yield struct.pack("!H", symbols[at] << 13 | run)
            at += run
            continue
        chunk = 0xC000
        for place, symbol in enumerate(symbols[at : at + 7]):
            chunk |= symbol << (12 - 2 * place)
        yield struct.pack("!H", chunk)
        at += 7


def parse_statuses(body: bytes) -> tuple[int, list[bool]]:
    """The base sequence number of a feedback body and, per packet, whether it arrived. For clients and tests.

    Raises ValueError on a body that is too short.
    """
    if len(body) < 8:
        raise ValueError("the body is shorter than its head")
    base, count = struct.unpack_from("!HH", body)
    statuses: list[bool] = []
    at = 8
    while len(statuses) < count:
        if at + 2 > len(body):
            raise ValueError("the body ends inside its status chunks")
        (chunk,) = struct.unpack_from("!H", body, at)
        at += 2
        if not chunk & 0x8000:
            statuses += [bool(chunk >> 13 & 3)] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            statuses += [bool(chunk >> shift & 3) for shift in range(12, -1, -2)]
        else:
            statuses += [bool(chunk >> shift & 1) for shift in range(13, -1, -1)]
    return base, statuses[:count]
