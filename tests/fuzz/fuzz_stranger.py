"""Any datagram of somebody without a password is counted under one reason, answered by nothing and believed never."""

from __future__ import annotations

from tests.sfu.test_demux import World


def run(data: bytes) -> None:
    world = World()
    world.peer("ann")  # as the checks among the seeds say, with another password
    world.arrive(data)
    assert sum(world.dropped.values()) == 1
    assert (world.heard, world.firsts, world.socket.sent) == ([], [], [])
