"""What people hear of relays: which there are, that there is none, and that there is one again."""

from __future__ import annotations

import pytest

from signalling import dependencies
from signalling import messages as m
from signalling.events import RelaysChanged
from tests.support.playbook import Stage
from turn_probe.fleet import Fleet
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace
from turn_probe.urls import parse

TURN = m.IceServer(urls=["turn:t.example"], username="1:p", credential="c")
STUN = m.IceServer(urls=["stun:s.example"])


class World(Stage):
    """A stage whose relays come and go."""

    def __init__(self, **rules: float) -> None:
        super().__init__(**rules)
        self.servers = [STUN, TURN]
        self.conference.ice_servers = lambda who, wall: list(self.servers)

    def relays(self, *servers: m.IceServer, lacking: str = "") -> None:
        """From now on these are handed out."""
        self.servers = [*servers]
        self.happens(RelaysChanged(lacking))


def test_everybody_is_told_of_other_servers() -> None:
    world = World()
    ada, bob = world.joins("ada"), world.joins("bob")
    bob.vanishes()
    world.relays(TURN)
    assert ada.hears(m.IceServers).ice_servers == [TURN]
    ada.hears_nothing()
    assert bob.resumes().hears(m.Welcome).ice_servers == [TURN]


def test_credentials_are_replaced_when_half_of_their_time_is_over() -> None:
    world = World(relay_credentials=600.0)
    ada = world.joins("ada")
    world.passes(200.0)
    bob = world.joins("bob")
    world.passes(99.0)
    ada.hears_nothing()
    world.passes(2.0)
    assert ada.hears(m.IceServers).ice_servers == [STUN, TURN]
    world.passes(198.0)
    bob.hears_nothing()
    world.passes(2.0)
    bob.hears(m.IceServers)
    ada.hears_nothing()
    world.passes(100.0)
    ada.hears(m.IceServers)
    world.passes(250.0)
    bob.hears(m.IceServers)
    ada.hears_nothing()


def test_who_comes_back_has_new_credentials_and_is_not_given_others_soon() -> None:
    world = World(relay_credentials=60.0)
    ada = world.joins("ada")
    world.passes(25.0)
    ada.vanishes()
    world.passes(20.0)
    again = ada.resumes()
    assert again.hears(m.Welcome).ice_servers == [STUN, TURN]
    world.passes(29.0)
    again.hears_nothing()
    world.passes(2.0)
    again.hears(m.IceServers)


def test_without_any_relay_people_are_told_once_and_once_when_there_is_one_again() -> None:
    world = World()
    ada = world.joins("ada")
    world.relays(STUN, lacking="all are down")
    assert ada.hears(m.IceServers).ice_servers == [STUN]
    notice = ada.hears(m.Degraded).degradation
    assert (notice.dependency, notice.mode, notice.reason) == ("turn", "stun-only", "all are down")
    assert dependencies.headers(world.conference) == {"X-Degraded-Mode": "true", "X-Fallback-Used": "stun-only"}
    assert dependencies.notes(world.conference) == ["turn: stun-only"]
    world.relays(STUN, lacking="all are down, others too")
    ada.hears(m.IceServers)
    ada.hears_nothing()
    world.relays(STUN, TURN)
    ada.hears(m.IceServers)
    assert ada.hears(m.Recovered).dependency == "turn"
    assert dependencies.headers(world.conference) == {}


def test_a_newcomer_learns_what_is_away() -> None:
    world = World()
    world.relays(STUN, lacking="all are down")
    client = world.connects()
    client.says(m.Join(token=world.token("ada")))
    welcome = client.hears(m.Welcome)
    assert (welcome.ice_servers, [one.mode for one in welcome.degraded]) == ([STUN], ["stun-only"])


def test_who_connects_by_relay_only_is_refused_while_there_is_none() -> None:
    world = World()
    world.relays(STUN, lacking="all are down")
    client = world.connects()
    client.says(m.Join(token=world.token("ada"), relay_only=True))
    assert client.is_refused("turn_unavailable").retry_after == pytest.approx(10.0, abs=0.01)
    client.is_sent_away("turn_unavailable", 1013)
    world.relays(TURN)
    client = world.connects()
    client.says(m.Join(token=world.token("ada"), relay_only=True))
    client.hears(m.Welcome)


def test_the_time_without_relays_is_counted_as_degraded() -> None:
    world = World()
    world.relays(STUN, lacking="all are down")
    world.passes(5.0)
    assert world.conference.episodes.present(world.now) == 5.0
    world.relays(TURN)
    assert world.conference.episodes.present(world.now) == 0.0
    assert world.conference.episodes.activations == {"stun-only": 1}


def test_health_tells_what_is_handed_out_also_where_that_is_not_what_works() -> None:
    world = World()
    turn, stun = parse("turn:t.example"), parse("stun:s.example")
    fleet = world.conference.relays = Fleet([turn, stun], Pace(), lambda: 0.5, world.now)

    def handed_out() -> dict[str, bool]:
        seen = dependencies.checks(world.conference, world.conference.at)["turn:servers"]
        return {server["url"]: server["handed_out"] for server in seen}

    for _ in range(3):
        fleet.take(Report(stun, Verdict.DOWN, "silent", ()), world.now)
    assert handed_out() == {turn.url: True, stun.url: True}, "the only STUN server is handed out though it is down"
    for _ in range(3):
        fleet.take(Report(turn, Verdict.DOWN, "silent", ()), world.now, network=False)
    assert fleet.cut_off
    assert handed_out() == {turn.url: True, stun.url: True}, "the last list is kept"
    fleet.take(Report(stun, Verdict.UP, "", (), round_trip=0.02), world.now + 1)
    assert handed_out() == {turn.url: True, stun.url: True}, "what failed in the dark is tried anew"
    for _ in range(3):
        fleet.take(Report(turn, Verdict.DOWN, "silent", ()), world.now + 2)
        fleet.take(Report(stun, Verdict.UP, "", (), round_trip=0.02), world.now + 3)
    assert handed_out() == {turn.url: False, stun.url: True}
