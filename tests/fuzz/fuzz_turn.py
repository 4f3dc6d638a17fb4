"""Whatever a TURN server says, a probe of it ends in time with a report, and raises nothing."""

from __future__ import annotations

from tests.turn_probe.pretend import ECHO_PASSWORD, PEER, STUN, TCP, UDP, Drive, Pretended
from turn_probe.events import EchoFound
from turn_probe.report import Verdict

from . import harness
from .turn_talk import probe_of

SERVERS = (UDP, TCP, STUN)


class Hostile(Pretended):
    """Says what the input says, one datagram after the other, two at a time."""

    def __init__(self, said: list[bytes]) -> None:
        super().__init__()
        self._said = said

    def answers(self, data: bytes) -> list[bytes]:
        now, self._said = self._said[:2], self._said[2:]
        return now


def run(data: bytes) -> None:
    server, said = SERVERS[data[0] % len(SERVERS) if data else 0], harness.unpacked(data[1:])
    drive = Drive(probe_of(server), Hostile(said), echo=EchoFound([PEER], "echo", ECHO_PASSWORD))
    report = drive.run()
    assert isinstance(report.verdict, Verdict)
    assert (report.verdict is Verdict.UP) is not bool(report.reason)
    assert report.loss is None or 0.0 <= report.loss <= 1.0
