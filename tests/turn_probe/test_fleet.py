"""What is handed out follows what was measured, unless it is we who are cut off."""

from __future__ import annotations

from turn_probe.fleet import Fleet
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace
from turn_probe.urls import Server, parse

A, B = parse("turn:a.example"), parse("turn:b.example")
BESIDE = parse("stun:a.example")  # at the machine of a TURN server
NEUTRAL = parse("stun:elsewhere.example")


class Watch:
    """A fleet in a world where each server is as `world` says, probed whenever it is due."""

    def __init__(self, *servers: Server) -> None:
        self.fleet = Fleet(servers, Pace(), lambda: 0.5, 0.0)
        self.world = dict.fromkeys(servers, Verdict.UP)
        self.times: dict[Server, float] = {}
        self.network = True
        self.now = 0.0

    def goes_on(self, seconds: float) -> None:
        until = self.now + seconds
        while self.fleet.next_due <= until:
            self.now = self.fleet.next_due
            for server in self.fleet.due(self.now):
                report = Report(server, self.world[server], "why", (), round_trip=self.times.get(server, 0.02))
                self.fleet.take(report, self.now, network=self.network)
        self.now = until

    @property
    def turn(self) -> list[Server]:
        return [offer.server for offer in self.fleet.offered.turn]

    @property
    def stun(self) -> list[Server]:
        return [offer.server for offer in self.fleet.offered.stun]


def test_at_the_start_the_configured_list_is_handed_out() -> None:
    watch = Watch(A, B, BESIDE)
    assert (watch.turn, watch.stun) == ([A, B], [BESIDE])


def test_a_sick_server_leaves_the_list_and_comes_back() -> None:
    watch = Watch(A, B)
    watch.goes_on(60)
    watch.world[A] = Verdict.RELAY_SILENT
    watch.goes_on(45)
    assert watch.turn == [B]
    watch.world[A] = Verdict.UP
    watch.goes_on(60)
    assert watch.turn == [A, B]
    assert watch.fleet.changes == 2


def test_without_any_turn_server_the_list_says_so_and_why() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world |= {A: Verdict.DOWN, B: Verdict.DOWN}
    watch.goes_on(60)
    assert watch.turn == []
    assert watch.fleet.offered.lacks_turn
    assert watch.fleet.offered.reason == "turn a.example:3478 udp: why; turn b.example:3478 udp: why"
    watch.world |= {B: Verdict.UP}
    watch.goes_on(60)
    assert watch.turn == [B]
    assert not watch.fleet.offered.lacks_turn


def test_nothing_is_lacking_where_no_turn_server_is_configured() -> None:
    watch = Watch(NEUTRAL)
    watch.world[NEUTRAL] = Verdict.DOWN
    watch.goes_on(120)
    assert not watch.fleet.offered.lacks_turn


def test_if_all_fail_together_and_something_neutral_too_the_last_list_is_kept() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world |= dict.fromkeys((A, B, NEUTRAL), Verdict.DOWN)
    watch.goes_on(500)
    assert watch.turn == [A, B]
    assert watch.fleet.cut_off
    assert watch.fleet.changes == 0
    watch.world[NEUTRAL] = Verdict.UP
    watch.goes_on(60)
    assert watch.turn == []
    assert not watch.fleet.cut_off


def test_when_everything_answers_again_what_failed_in_the_dark_is_held_against_nobody() -> None:
    watch = Watch(A, B, BESIDE, NEUTRAL)
    watch.goes_on(60)
    everything = dict.fromkeys(watch.world, Verdict.UP)
    for first in watch.world:  # to answer again, while the others still fail for a moment
        watch.world |= dict.fromkeys(watch.world, Verdict.DOWN)
        watch.goes_on(300)
        assert watch.fleet.cut_off
        watch.world[first] = Verdict.UP
        while watch.fleet.cut_off:
            watch.goes_on(0.5)
        watch.goes_on(1.5)
        watch.world |= everything
        watch.goes_on(60)
        assert not watch.fleet.cut_off
    assert (watch.turn, watch.stun, watch.fleet.changes) == ([A, B], [BESIDE, NEUTRAL], 0)


def test_what_never_answered_since_the_start_is_no_evidence() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.world[NEUTRAL] = Verdict.DOWN
    watch.goes_on(60)
    watch.world |= {A: Verdict.DOWN, B: Verdict.DOWN}
    watch.goes_on(45)
    assert watch.turn == []
    assert not watch.fleet.cut_off


def test_at_the_start_nothing_has_fallen_silent_yet_so_that_the_world_is_as_it_looks() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.world |= dict.fromkeys(watch.world, Verdict.DOWN)
    watch.goes_on(45)
    assert watch.turn == []


def test_what_had_stopped_to_answer_before_is_no_evidence_either() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world[NEUTRAL] = Verdict.DOWN
    watch.goes_on(90)
    watch.world |= {A: Verdict.DOWN, B: Verdict.DOWN}
    watch.goes_on(45)
    assert watch.turn == []


def test_on_mere_suspicion_the_list_is_not_kept_for_ever() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world |= dict.fromkeys((A, B, NEUTRAL), Verdict.DOWN)
    watch.goes_on(Pace().keep)
    assert (watch.turn, watch.fleet.cut_off) == ([A, B], True)
    watch.goes_on(60)
    assert (watch.turn, watch.fleet.cut_off) == ([], False)
    watch.world |= dict.fromkeys((A, B, NEUTRAL), Verdict.UP)
    watch.goes_on(30)
    assert watch.turn == [A, B]


def test_servers_that_refuse_us_are_reached_so_it_is_not_our_network() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world |= {A: Verdict.CREDENTIAL_ERROR, B: Verdict.CREDENTIAL_ERROR, NEUTRAL: Verdict.DOWN}
    watch.goes_on(60)
    assert watch.turn == []


def test_what_our_own_machine_refuses_is_told_and_condemns_nobody_however_long() -> None:
    for servers in ((A,), (A, B, NEUTRAL)):
        watch = Watch(*servers)
        watch.goes_on(60)
        before = watch.turn
        watch.world |= dict.fromkeys(servers, Verdict.OWN_NETWORK_BROKEN)
        watch.goes_on(7200)
        assert (watch.turn, watch.fleet.cut_off, watch.fleet.changes) == (before, True, 0)
        watch.world |= dict.fromkeys(servers, Verdict.UP)
        watch.goes_on(30)
        assert (watch.turn, watch.fleet.cut_off, watch.fleet.changes) == (before, False, 0)


def test_one_to_which_our_machine_has_no_way_does_not_make_a_network_broken() -> None:
    """Such as a server with an IPv6 address only, while everything else is reached."""
    watch = Watch(A, NEUTRAL)
    watch.world[A] = Verdict.OWN_NETWORK_BROKEN
    watch.goes_on(60)
    assert not watch.fleet.cut_off


def test_that_we_lack_an_address_of_the_family_of_a_relay_is_no_broken_network() -> None:
    fleet = Fleet([A], Pace(), lambda: 0.5, 0.0)
    fleet.take(Report(A, Verdict.OWN_NETWORK_BROKEN, "no address", (), relayed=("192.0.2.1", 1)), 1.0)
    assert not fleet.cut_off


def test_a_stun_server_on_the_same_machine_is_not_neutral() -> None:
    watch = Watch(A, BESIDE)
    watch.goes_on(60)
    watch.world |= {A: Verdict.DOWN, BESIDE: Verdict.DOWN}
    watch.goes_on(60)
    assert watch.turn == []


def test_without_a_way_to_anywhere_the_last_list_is_kept() -> None:
    watch = Watch(A)
    watch.network = False
    watch.world[A] = Verdict.DOWN
    watch.goes_on(1200)
    assert watch.turn == [A]


def test_one_that_is_full_or_open_comes_last_and_is_kept() -> None:
    for verdict in (Verdict.OVERLOADED, Verdict.OPEN_RELAY):
        watch = Watch(A, B)
        watch.world[A] = verdict
        watch.goes_on(60)
        assert watch.turn == [B, A]


def test_the_quicker_one_comes_first_after_a_while() -> None:
    watch = Watch(A, B)
    watch.times = {A: 0.200, B: 0.020}
    watch.goes_on(120)
    assert watch.turn == [B, A]
    assert watch.fleet.changes == 1


def test_stun_servers_that_do_not_answer_are_left_out_unless_none_does() -> None:
    watch = Watch(BESIDE, NEUTRAL)
    watch.world[BESIDE] = Verdict.DOWN
    watch.goes_on(60)
    assert watch.stun == [NEUTRAL]
    watch.world[NEUTRAL] = Verdict.DOWN
    watch.goes_on(60)
    assert watch.stun == [BESIDE, NEUTRAL]


def test_the_secret_that_a_server_takes_is_handed_on() -> None:
    fleet = Fleet([A], Pace(), lambda: 0.5, 0.0)
    assert fleet.take(Report(A, Verdict.UP, "", (), login=1), 1.0)
    assert fleet.offered.turn[0].login == 1
