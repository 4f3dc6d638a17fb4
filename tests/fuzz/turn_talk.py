"""What an honest TURN server says in one probe, recorded: the same probe asks the same, so that the answers fit."""

from __future__ import annotations

import random

from tests.turn_probe.pretend import LOGIN, STUN, UDP, Drive, Pretended
from turn_probe.exchange import Timing
from turn_probe.probe import Probe
from turn_probe.urls import Server

from . import harness


def probe_of(server: Server) -> Probe:
    """A probe that draws the same transaction ids each time."""
    return Probe(server, (LOGIN,), Timing(), random.Random(7).randbytes)


class _Recorded(Pretended):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []

    def answers(self, data: bytes) -> list[bytes]:
        found = super().answers(data)
        self.said += [*found, b""]  # the second of two
        return found


def recorded(number: int, server: Server) -> bytes:
    """The input that has the server of that number say what it should."""
    honest = _Recorded()
    Drive(probe_of(server), honest).run()
    return bytes([number]) + harness.packed(honest.said)


def seeds() -> dict[str, bytes]:
    """By name."""
    return {"relay": recorded(0, UDP), "relay_tcp": recorded(1, UDP), "stun": recorded(2, STUN)}
