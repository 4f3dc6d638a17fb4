"""While nothing answers it is we who are cut off; whatever answers, or never did, is evidence of its own kind."""

from __future__ import annotations

import pytest

from turn_probe.own_network import OwnNetwork
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace, Standing
from turn_probe.urls import Server, parse

A, B = parse("turn:a.example"), parse("turn:b.example")
BESIDE = parse("stun:a.example")  # at the machine of a TURN server
NEUTRAL = parse("stun:elsewhere.example")
PACE = Pace()


class World:
    """Standings and what is thought of our own network; all that is to be `told` of has happened at that time."""

    def __init__(self, *servers: Server) -> None:
        self.standings = {server: Standing(server, PACE, lambda: 0.5, 0.0) for server in servers}
        self.own_network = OwnNetwork(self.standings, PACE)

    def told(
        self,
        now: float,
        verdict: Verdict,
        *servers: Server,
        address: str = "",
        quiet: float = 0.0,
        network: bool = True,
        lacks_turn: bool = False,
    ) -> bool:
        """Whether a failure of the last of `servers` would be held against nobody."""
        suspect = False
        for server in servers:
            report = Report(server, verdict, "why", (), address=(address, 3478) if address else None, quiet=quiet)
            standing = self.standings[server]
            self.own_network.hear(report, now, network=network, lacks_turn=lacks_turn)
            suspect = self.own_network.is_suspect(standing, now, lacks_turn=lacks_turn)
            standing.take(report, now, condemn=not suspect)
        return suspect

    def fail(self, began: float, *servers: Server, times: int = 3) -> None:
        """All of them are silent, so often in a row."""
        for number in range(times):
            self.told(began + 5.0 * number, Verdict.DOWN, *servers)

    def fallen(self) -> list[Server]:
        return [server for server, standing in self.standings.items() if not standing.usable]


def world(*servers: Server) -> World:
    """One where everything was reached."""
    found = World(*servers)
    found.told(10.0, Verdict.UP, *servers)
    return found


def test_if_everything_falls_silent_at_once_we_are_cut_off_and_nobody_falls() -> None:
    it = world(A, B, NEUTRAL)
    it.fail(20.0, A, B, NEUTRAL)
    assert it.own_network.cut_off
    assert it.fallen() == []


def test_not_before_the_last_chance_of_a_server_because_a_list_that_is_kept_may_be_a_wrong_one() -> None:
    it = world(A, B, NEUTRAL)
    it.fail(20.0, A, B, NEUTRAL, times=2)
    assert not it.own_network.cut_off


@pytest.mark.parametrize("answers", [B, NEUTRAL])
def test_whatever_answers_shows_that_it_is_the_server(answers: Server) -> None:
    it = world(A, B, NEUTRAL)
    for number in range(3):
        it.told(20.0 + 5.0 * number, Verdict.DOWN, *{A, B, NEUTRAL} - {answers})
        it.told(20.0 + 5.0 * number, Verdict.CREDENTIAL_ERROR if answers.relays else Verdict.UP, answers)
    assert not it.own_network.cut_off
    assert A in it.fallen()


def test_when_something_answers_again_the_others_are_forgiven_and_asked_at_once() -> None:
    it = world(A, B, NEUTRAL)
    it.fail(20.0, A, B, NEUTRAL)
    it.told(40.0, Verdict.UP, NEUTRAL)
    assert not it.own_network.cut_off
    assert [it.standings[server].failing_since for server in (A, B)] == [None, None]
    assert [it.standings[server].due for server in (A, B)] == [40.0, 40.0]


def test_what_was_heard_before_it_was_dark_is_no_answer() -> None:
    it = world(A, B, NEUTRAL)
    it.fail(20.0, A, B, NEUTRAL)
    it.told(31.0, Verdict.RELAY_SILENT, B, quiet=12.0)
    assert it.own_network.cut_off
    it.told(32.0, Verdict.RELAY_SILENT, B, quiet=0.5)
    assert not it.own_network.cut_off


def test_without_anybody_neutral_we_cannot_tell_and_believe_what_we_see() -> None:
    it = world(A, B, BESIDE)
    it.fail(20.0, A, B, BESIDE)
    assert it.own_network.neutral == []
    assert not it.own_network.cut_off


def test_who_is_found_at_the_address_of_a_relay_is_not_neutral() -> None:
    it = world(A, NEUTRAL)
    assert it.own_network.neutral == [NEUTRAL]
    it.told(20.0, Verdict.UP, A, NEUTRAL, address="192.0.2.1")
    assert it.own_network.neutral == []


def test_a_neutral_one_that_never_answered_or_had_stopped_before_is_no_evidence() -> None:
    for first_heard in ((A, B), (A, B, NEUTRAL)):
        it = World(A, B, NEUTRAL)
        it.told(10.0, Verdict.UP, *first_heard)
        it.told(20.0, Verdict.DOWN, NEUTRAL)
        it.told(80.0, Verdict.UP, A, B)
        it.fail(90.0, A, B, NEUTRAL)
        assert not it.own_network.cut_off


def test_on_mere_suspicion_the_dark_has_an_end_and_when_our_machine_says_so_it_has_none() -> None:
    it = world(A, NEUTRAL)
    it.fail(20.0, A, NEUTRAL)
    it.told(30.0 + PACE.keep - 1, Verdict.DOWN, A)
    assert it.own_network.cut_off
    it.told(30.0 + PACE.keep + 1, Verdict.DOWN, A)
    assert not it.own_network.cut_off

    for verdict, network in ((Verdict.DOWN, False), (Verdict.OWN_NETWORK_BROKEN, True)):
        it = world(A, NEUTRAL)
        for now in (20.0, 20.0 + 10 * PACE.keep):
            it.told(now, verdict, A, network=network)
            assert it.own_network.cut_off


def test_that_our_machine_never_had_a_way_to_one_server_is_no_dark() -> None:
    it = World(A, B, NEUTRAL)
    it.told(10.0, Verdict.UP, B, NEUTRAL)
    it.told(10.0, Verdict.OWN_NETWORK_BROKEN, A)
    it.told(11.0, Verdict.DOWN, B)
    it.told(12.0, Verdict.OWN_NETWORK_BROKEN, A)
    assert not it.own_network.cut_off


def test_a_stun_server_is_given_the_benefit_as_soon_as_it_might_be_we() -> None:
    it = world(A, NEUTRAL)
    assert not it.told(20.0, Verdict.DOWN, NEUTRAL)  # while the relay works
    it.told(21.0, Verdict.DOWN, A)
    assert it.told(22.0, Verdict.DOWN, NEUTRAL)
    assert not it.own_network.cut_off


def test_where_no_relay_is_handed_out_there_is_no_list_to_keep() -> None:
    it = world(A, NEUTRAL)
    for now in (20.0, 25.0, 30.0):
        assert not it.told(now, Verdict.DOWN, A, NEUTRAL, lacks_turn=True)
    assert not it.own_network.cut_off
