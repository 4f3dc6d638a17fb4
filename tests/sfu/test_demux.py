"""Nothing is believed of an address until a connectivity check from it was authentic, and all else is counted."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from sfu import stun
from sfu.counters import Counters
from sfu.demux import Demux
from sfu.dtls import Certificate
from sfu.ice_lite import Credentials
from sfu.path import MAX_DATAGRAM_BYTES, Path
from sfu.peer import Peer
from sfu.probe_answers import ProbeAnswers
from sfu.slots import SlotPool
from sfu.transport import _MAX_PATHS, PeerTransport
from sfu.udp import UdpSocket
from tests.support.clock import FakeClock

HERE, THERE = ("192.0.2.1", 1000), ("192.0.2.2", 2000)
CERTIFICATE = Certificate()
RTP, RTCP, DTLS = b"\x80\x60" + bytes(30), b"\x80\xc8" + bytes(30), b"\x16\xfe\xfd" + bytes(20)


class Socket:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def send(self, datagram: bytes, address: Any) -> None:
        self.sent.append((datagram, address))


THEIRS = Credentials("theirs", "their-password")


class World:
    def __init__(self) -> None:
        self.counters, self.clock = Counters(), FakeClock()
        self.firsts: list[Peer] = []
        self.demux = Demux(self.counters, self.clock, self.firsts.append, ProbeAnswers({"relayprobe": "its password"}))
        self.socket = Socket()
        self.heard: list[tuple[str, bytes]] = []

    def peer(self, name: str) -> Peer:
        """A peer whose ufrag is its name and whose password is its name four times."""
        transport = PeerTransport(
            Credentials(name, 4 * name),
            THEIRS,
            (),
            CERTIFICATE,
            self.counters,
            [],
            lambda *_: None,
            random.Random(1).getrandbits,
            self.clock(),
        )
        peer = Peer(name, "room", transport, SlotPool({}, {}), 1, self.counters, float)  # type: ignore[arg-type]
        transport.handle_dtls = lambda datagram: self.heard.append((name, datagram))  # type: ignore[method-assign]
        peer.receive = lambda datagram, now: not self.heard.append((name, datagram))  # type: ignore[func-returns-value]  # type: ignore[method-assign]
        self.demux.register(peer)
        return peer

    def arrive(self, datagram: bytes, address: Any = HERE, socket: Socket | None = None) -> None:
        self.demux.on_datagram(cast(UdpSocket, socket or self.socket), datagram, address)

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.counters.dropped)


def check(name: str, password: str | None = None, priority: int = 1) -> bytes:
    return stun.binding_request(b"t" * 12, f"{name}:x", password or 4 * name, priority, 1, nominate=True)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "size"),
        (b"\x80", "size"),
        (bytes(MAX_DATAGRAM_BYTES + 1), "size"),
        (b"\x80" + bytes(MAX_DATAGRAM_BYTES - 1), "unknown_address"),
        (RTP, "unknown_address"),
        (RTCP, "unknown_address"),
        (DTLS, "unknown_address"),
        (b"\x13" + bytes(20), "not_ours"),
        (b"\x40" + bytes(20), "not_ours"),
        (b"\xff" * 100, "not_ours"),
        (bytes(20), "stun_malformed"),
        (check("ann")[:-1], "stun_malformed"),
        (check("nobody"), "stun_unknown_ufrag"),
        (check("ann", "guessed-guessed-guessed"), "stun_unauthentic"),
    ],
)
def test_what_is_not_used_is_counted_by_its_reason_and_not_answered(datagram: bytes, reason: str) -> None:
    world = World()
    world.peer("ann")
    world.arrive(datagram)
    assert world.dropped == {reason: 1}
    assert (world.counters.packets_received, world.counters.bytes_received) == (1, len(datagram))
    assert (world.heard, world.firsts, world.socket.sent) == ([], [], [])


def test_after_an_authentic_check_the_address_is_believed_and_only_on_that_socket() -> None:
    world = World()
    ann = world.peer("ann")
    world.arrive(check("ann"))
    assert (world.firsts, len(world.socket.sent)) == ([ann], 1)
    for datagram in (RTP, RTCP, DTLS):
        world.arrive(datagram)
    world.arrive(RTP, THERE)
    world.arrive(RTP, HERE, Socket())
    assert world.heard == [("ann", RTP), ("ann", RTCP), ("ann", DTLS)]
    assert world.dropped == {"unknown_address": 2}


def test_the_first_check_is_told_once() -> None:
    world = World()
    ann = world.peer("ann")
    for address in (HERE, THERE, HERE):
        world.arrive(check("ann"), address)
    assert world.firsts == [ann]


def test_an_address_that_another_client_has_now_is_that_clients() -> None:
    world = World()
    ann = world.peer("ann")
    world.peer("bob")
    world.arrive(check("ann"))
    world.arrive(check("bob"))
    world.arrive(RTP)
    assert world.heard == [("bob", RTP)]
    world.demux.forget(ann)
    world.arrive(RTP)
    assert world.heard == [("bob", RTP)] * 2


def test_a_forgotten_peer_is_believed_no_more() -> None:
    world = World()
    ann = world.peer("ann")
    for address in (HERE, THERE):
        world.arrive(check("ann"), address)
    world.demux.forget(ann)
    for datagram in (RTP, check("ann")):
        world.arrive(datagram)
    assert (world.heard, world.dropped) == ([], {"unknown_address": 1, "stun_unknown_ufrag": 1})
    assert (world.demux._ufrags, [*world.demux._routes.values()]) == ({}, [{}])


def test_after_a_restart_both_names_are_answered_until_the_new_one_is_nominated() -> None:
    world = World()
    ann = world.peer("ann")
    world.arrive(check("ann"))
    ann.transport.ice.restart(Credentials("new", "newnewnewnew"), THEIRS)
    world.demux.register(ann)
    world.arrive(check("ann"))
    world.arrive(check("new"))
    world.demux.prune()
    world.arrive(check("ann"))
    assert world.dropped == {"stun_unknown_ufrag": 1}
    assert len(world.socket.sent) == 3


def test_a_client_that_moves_on_and_on_is_followed_and_its_old_addresses_are_dropped() -> None:
    world = World()
    ann = world.peer("ann")
    for port in range(10 * _MAX_PATHS):
        world.clock.advance(10)  # each path falls silent before the next one begins
        world.arrive(check("ann"), ("192.0.2.1", port))
    assert world.dropped == {}
    assert len(ann.transport.paths) == _MAX_PATHS
    newest = Path(cast(UdpSocket, world.socket), ("192.0.2.1", 10 * _MAX_PATHS - 1))
    assert ann.transport.ice.selected == newest
    world.demux.prune()
    assert [len(routes) for routes in world.demux._routes.values()] == [_MAX_PATHS]
    world.arrive(RTP, newest.address)
    assert world.heard == [("ann", RTP)]


def test_many_tries_do_not_push_out_the_path_in_use() -> None:
    world = World()
    ann = world.peer("ann")
    world.arrive(check("ann", priority=999), HERE)
    for port in range(2 * _MAX_PATHS):
        world.arrive(check("ann"), ("192.0.2.7", port))
    assert Path(cast(UdpSocket, world.socket), HERE) in ann.transport.paths


def test_a_client_whose_nat_gave_it_another_address_is_checked_there_and_followed() -> None:
    world = World()
    ann = world.peer("0a0a0a0a0a0a")
    world.arrive(check("0a0a0a0a0a0a"))
    ann.transport.ice.proven = True
    ann.has_heard = lambda datagram: datagram is RTP  # type: ignore[method-assign]
    world.socket.sent.clear()
    world.clock.advance(1)
    world.arrive(RTP, ("192.0.2.77", 5000))
    assert world.heard == [("0a0a0a0a0a0a", RTP)]
    [(own, address)] = world.socket.sent
    assert (address, ann.transport.address) == (("192.0.2.77", 5000), HERE)
    answer = stun.success_response(stun.parse(own), ("192.0.2.1", 1), THEIRS.password)
    world.arrive(answer, ("192.0.2.66", 6000))
    assert ann.transport.address == HERE
    world.arrive(answer, ("192.0.2.77", 5000))
    assert ann.transport.address == ("192.0.2.77", 5000)
    assert world.dropped == {"stun_unexpected_response": 1}


def test_strangers_are_tried_against_nobodys_keys_beyond_a_rate() -> None:
    world = World()
    ann = world.peer("ann")
    tried: list[bytes] = []
    ann.has_heard = lambda datagram: bool(tried.append(datagram))  # type: ignore[method-assign,func-returns-value]
    for _ in range(1000):
        world.arrive(RTP, ("192.0.2.77", 5000))
    assert len(tried) == 200
    assert world.dropped == {"unknown_address": 1000}


def test_forged_checks_in_the_name_of_a_client_do_not_silence_its_own() -> None:
    world = World()
    world.peer("ann")
    world.arrive(check("ann"), HERE)
    for port in range(1000):
        world.arrive(check("ann", "guessed" * 4), ("203.0.113.1", port))
    assert world.dropped["stun_over_budget"] > 700
    assert world.dropped["stun_unauthentic"] + world.dropped["stun_over_budget"] == 1000
    answered = world.counters.checks_answered
    world.arrive(check("ann"), HERE)
    assert world.counters.checks_answered == answered + 1
    world.clock.now += 1
    world.arrive(check("ann"), THERE)
    assert world.counters.checks_answered == answered + 2, "and in time it may come from elsewhere again"


def test_forged_checks_in_the_names_of_many_are_verified_at_a_bounded_rate_and_newcomers_are_let_in() -> None:
    world = World()
    names = [f"peer{number:02}" for number in range(20)]
    for name in names:
        world.peer(name)
        world.arrive(check(name), HERE)
    for port in range(50):
        for name in names:
            world.arrive(check(name, "guessed" * 4), ("203.0.113.1", port))
    assert world.dropped == {"stun_unauthentic": 200, "stun_over_budget": 800}
    newcomer = world.peer("newcomer")
    world.arrive(check("newcomer"), THERE)
    assert world.firsts[-1] is newcomer


def test_what_was_of_use_is_told_from_what_was_not() -> None:
    world = World()
    world.peer("ann")
    arrive = world.demux.on_datagram
    socket = cast(UdpSocket, world.socket)
    assert not any(arrive(socket, datagram, HERE) for datagram in (RTP, DTLS, b"\xff\xff", check("ann", "x" * 12)))
    assert all(arrive(socket, datagram, HERE) for datagram in (check("ann"), RTP, RTCP, DTLS))


def test_a_probe_through_a_relay_is_answered_and_leaves_nothing_behind() -> None:
    world = World()
    world.arrive(check("relayprobe", "its password"))
    ((answer, address),) = world.socket.sent
    assert address == HERE
    assert stun.parse(answer).is_authentic("its password")
    world.arrive(RTP)
    assert world.dropped == {"unknown_address": 1}
    world.arrive(check("relayprobe", "guessed"))
    assert world.dropped == {"unknown_address": 1, "probe_refused": 1}
    assert len(world.socket.sent) == 1
    assert world.firsts == []
