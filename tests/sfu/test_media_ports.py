"""UDP and TCP have one number, and a call can do without TCP: where it cannot be had, a line in the log says so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sfu import media_ports
from sfu.addresses import LocalAddress
from sfu.counters import Counters
from sfu.demux import Demux
from sfu.media_ports import MediaPorts
from sfu.tcp_port import TcpPort
from tests.support.clock import FakeClock

HERE = [LocalAddress("127.0.0.1", "192.0.2.1"), LocalAddress("::1", "2001:db8::1", 443)]


@contextmanager
def ports(port: int = 0, *, tcp: bool = True) -> Iterator[MediaPorts]:
    """Ports that are not read."""
    counters, clock = Counters(), FakeClock()
    made = MediaPorts(HERE, port, tcp, counters, Demux(counters, clock, lambda peer: None), lambda: None, clock)
    try:
        yield made
    finally:
        made.close()


def transports(made: MediaPorts) -> list[tuple[str, str, int]]:
    return [(one.transport, one.address, one.port) for one in made.candidates()]


async def test_what_is_announced_for_an_address_can_be_changed_and_for_the_others_it_stays() -> None:
    with ports() as made:
        made.announce("127.0.0.1", "198.51.100.7")
        assert transports(made) == [
            ("udp", "198.51.100.7", made.number),
            ("udp", "2001:db8::1", 443),
            ("tcp", "198.51.100.7", made.number),
            ("tcp", "2001:db8::1", 443),
        ]


async def test_both_are_announced_and_udp_is_preferred() -> None:
    with ports() as made:
        number = made.number
        assert transports(made) == [
            ("udp", "192.0.2.1", number),
            ("udp", "2001:db8::1", 443),
            ("tcp", "192.0.2.1", number),
            ("tcp", "2001:db8::1", 443),
        ]
        priorities = [one.priority for one in made.candidates()]
        assert priorities == sorted(priorities, reverse=True)
        assert len({one.foundation for one in made.candidates()}) == 4
        assert made.gauges()["media_tcp_listening"] == 1.0
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, number)).close()


async def test_without_tcp_nothing_of_it_is_announced() -> None:
    with ports(tcp=False) as made:
        assert {one.transport for one in made.candidates()} == {"udp"}
        assert made.gauges()["media_tcp_listening"] == 0.0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", made.number))


async def test_a_number_that_is_taken_on_tcp_leaves_udp_alone_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        with ports(number) as made:
            assert (made.number, {one.transport for one in made.candidates()}) == (number, {"udp"})
            assert f"no media on TCP, as its port {number} cannot be had" in caplog.text


async def test_any_free_number_is_one_that_is_free_for_both(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    class Taken(TcpPort):
        def __init__(self, addresses: list[LocalAddress], port: int, *rest: object) -> None:
            tried.append(port)
            if len(tried) < 3:
                raise OSError(98, "Address already in use")
            super().__init__(addresses, port, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(media_ports, "TcpPort", Taken)
    with ports() as made:
        assert made.number == tried[2]
        assert len(made.candidates()) == 4
    assert caplog.text == ""
