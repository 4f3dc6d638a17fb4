"""What is handed out follows what was measured, unless it is we who are cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from turn_probe.fleet import Fleet
from turn_probe.report import Report, Verdict
from turn_probe.standing import Pace
from turn_probe.urls import Server, parse

A, B = parse("turn:a.example"), parse("turn:b.example")
BESIDE = parse("stun:a.example")  # at the machine of a TURN server
NEUTRAL = parse("stun:elsewhere.example")


class Watch:
    """A fleet in a world where each server is as `world` says, probed whenever it is due."""

    def __init__(self, *servers: Server, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.fleet = Fleet(servers, Pace(), chance, 0.0)
        self.world = dict.fromkeys(servers, Verdict.UP)
        self.times: dict[Server, float] = {}
        self.addresses: dict[Server, str] = {}
        self.probes: Counter[Server] = Counter()
        self.network = True
        self.now = 0.0

    def goes_on(self, seconds: float) -> None:
        until = self.now + seconds
        while self.fleet.next_due <= until:
            self.now = self.fleet.next_due
            for server in self.fleet.due(self.now):
                self.probes[server] += 1
                address = (self.addresses[server], 3478) if server in self.addresses else None
                times = self.times.get(server, 0.02)
                report = Report(server, self.world[server], "why", (), address=address, round_trip=times)
                self.fleet.take(report, self.now, network=self.network)
        self.now = until

    @property
    def turn(self) -> list[Server]:
        return [offer.server for offer in self.fleet.offered.turn]

    @property
    def stun(self) -> list[Server]:
        return [offer.server for offer in self.fleet.offered.stun]


def test_whoever_has_fallen_is_probed_after_those_that_clients_are_told_of() -> None:
    watch = Watch(A, B, NEUTRAL)
    watch.world[A] = Verdict.DOWN
    watch.goes_on(60)
    later = watch.now + 100
    assert [watch.fleet.due(later, most=1) for _ in range(4)] in ([[B], [NEUTRAL], [A], []], [[NEUTRAL], [B], [A], []])


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


def test_what_was_heard_before_the_lights_went_out_is_no_answer_in_the_dark() -> None:
    """Our network breaks while a probe listens at its relay, and it ends after those that heard nothing at all."""
    watch = Watch(A, B, NEUTRAL)
    watch.goes_on(60)
    watch.world |= dict.fromkeys((A, B, NEUTRAL), Verdict.DOWN)
    for server in (NEUTRAL, B):
        watch.fleet.take(Report(server, Verdict.DOWN, "no answer", ()), 63.0)
    watch.fleet.take(Report(A, Verdict.RELAY_SILENT, "nothing came", (), quiet=3.5), 63.2)
    watch.now = 63.2
    watch.goes_on(120)
    assert (watch.turn, watch.fleet.cut_off, watch.fleet.changes) == ([A, B], True, 0)


C = parse("turn:[2001:db8::1]")  # to which this machine has no way


def test_one_to_which_there_never_was_a_way_is_no_excuse_for_the_others_nor_hope_for_anybody() -> None:
    for neutral in ((), (NEUTRAL,)):
        watch = Watch(C, A, B, *neutral)
        watch.world[C] = Verdict.OWN_NETWORK_BROKEN
        watch.goes_on(300)
        assert (watch.turn, watch.fleet.cut_off) == ([A, B, C], False)  # it may be of use to others, and comes last
        watch.world |= {A: Verdict.DOWN, B: Verdict.DOWN}
        watch.goes_on(60)
        assert (watch.turn, watch.fleet.cut_off, watch.fleet.offered.lacks_turn) == ([], False, True)
        watch.world[C] = Verdict.UP
        watch.goes_on(30)
        assert watch.turn == [C]


def test_nor_is_one_to_which_the_way_was_lost_long_before() -> None:
    watch = Watch(C, A, B)
    watch.goes_on(100)
    watch.world[C] = Verdict.OWN_NETWORK_BROKEN
    watch.goes_on(300)
    watch.world |= {A: Verdict.DOWN, B: Verdict.DOWN}
    watch.goes_on(60)
    assert (watch.turn, watch.fleet.cut_off) == ([], False)


def test_it_does_not_keep_us_from_seeing_that_our_network_is_broken_either() -> None:
    for verdict in (Verdict.DOWN, Verdict.OWN_NETWORK_BROKEN):
        watch = Watch(C, A, B, NEUTRAL)
        watch.world[C] = Verdict.OWN_NETWORK_BROKEN
        watch.goes_on(300)
        changes = watch.fleet.changes
        watch.world |= dict.fromkeys((A, B, NEUTRAL), verdict)
        watch.goes_on(300)
        assert (watch.turn, watch.fleet.cut_off, watch.fleet.changes) == ([A, B, C], True, changes)


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


def test_one_at_the_same_address_by_another_name_is_not_neutral_either() -> None:
    watch = Watch(A, NEUTRAL)
    watch.addresses = {A: "192.0.2.1", NEUTRAL: "192.0.2.1"}
    watch.goes_on(60)
    watch.world |= {A: Verdict.DOWN, NEUTRAL: Verdict.DOWN}
    watch.goes_on(60)
    assert (watch.turn, watch.fleet.cut_off) == ([], False)


def test_who_is_neutral_is_asked_about_those_that_fall_and_not_about_those_that_have_fallen() -> None:
    """For everybody asks the same public STUN server."""
    many = [parse(f"turn:{number}.example") for number in range(20)]
    watch = Watch(*many, NEUTRAL, chance=Random(1).random)
    watch.world |= dict.fromkeys(many[1:], Verdict.DOWN)
    watch.goes_on(3600)
    assert watch.probes[NEUTRAL] <= 1.2 * 3600 / Pace().interval


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


def test_one_that_is_full_every_other_time_does_not_make_the_list_change() -> None:
    fleet = Fleet([A, B], Pace(), lambda: 0.5, 0.0)
    for number in range(40):
        verdict = Verdict.OVERLOADED if number % 2 else Verdict.UP
        fleet.take(Report(A, verdict, "", (), round_trip=0.02), 22.0 * number)
    assert fleet.changes == 0


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


def test_the_secret_that_a_server_takes_is_handed_on_and_remembered_while_nobody_asks_for_one() -> None:
    fleet = Fleet([A], Pace(), lambda: 0.5, 0.0)
    assert fleet.take(Report(A, Verdict.UP, "", (), login=1), 1.0)
    assert fleet.offered.turn[0].login == 1
    assert not fleet.take(Report(A, Verdict.OVERLOADED, "486", ()), 2.0)
    assert fleet.offered.turn[0].login == 1
