"""A probe goes every step that a client goes, ends in time, and says what the server is."""

from __future__ import annotations

import pytest
from aioice import stun

from turn_probe.events import Connect, Connected, EchoFound, Event, Received, Resolved, Send
from turn_probe.exchange import Timing
from turn_probe.report import Verdict
from turn_probe.urls import Server

from .pretend import (
    ECHO_PASSWORD,
    LOGIN,
    PEER,
    PEER6,
    STUN,
    TCP,
    UDP,
    WRONG,
    Pretended,
    attribute,
    broken,
    drive_of,
    probed,
)


@pytest.mark.parametrize("server", [UDP, TCP])
def test_a_server_that_relays_is_up_and_every_step_is_timed(server: object) -> None:
    pretended = Pretended()
    report = probed(pretended, server=server)  # type: ignore[arg-type]
    assert (report.verdict, report.reason) == (Verdict.UP, "")
    assert [step.name for step in report.steps] == [
        *("resolve", "connect", "challenge", "allocate", "bind", "echo", "release")
    ]
    assert [round(step.seconds, 3) for step in report.steps[:5]] == [0.001, 0.001, 0.01, 0.01, 0.01]
    assert report.round_trip == pytest.approx(0.010)
    assert report.loss == 0.0
    assert pretended.allocations == 0


def test_the_first_question_is_asked_without_credentials_and_only_once() -> None:
    pretended = Pretended()
    probed(pretended)
    allocates = [request for request in pretended.asked if request.message_method == stun.Method.ALLOCATE]
    assert ["USERNAME" in request.attributes for request in allocates] == [False, True]


def test_a_server_that_relays_for_everybody_is_an_alarm() -> None:
    report = probed(Pretended(open=True))
    assert report.verdict is Verdict.OPEN_RELAY
    assert report.round_trip is not None


def test_the_other_secret_is_tried_and_the_report_says_which_one_fits() -> None:
    report = probed(Pretended(), logins=(WRONG, LOGIN))
    assert (report.verdict, report.login) == (Verdict.UP, 1)


def test_a_server_that_refuses_all_secrets_is_a_credential_error() -> None:
    report = probed(Pretended(), logins=(WRONG, WRONG))
    assert (report.verdict, report.failed_step) == (Verdict.CREDENTIAL_ERROR, "allocate")


def test_no_secret_at_all_is_a_credential_error() -> None:
    assert probed(Pretended(), logins=()).verdict is Verdict.CREDENTIAL_ERROR


def test_a_success_that_the_server_has_not_signed_counts_for_nothing() -> None:
    report = probed(Pretended(signs=False))
    assert report.verdict is Verdict.DOWN
    assert "signed" in report.reason


@pytest.mark.parametrize("code", [486, 508])
@pytest.mark.parametrize("method", [0, stun.Method.ALLOCATE])
def test_a_server_without_room_is_overloaded(code: int, method: int) -> None:
    report = probed(Pretended(refusals={method: code}))
    assert report.verdict is Verdict.OVERLOADED
    assert str(code) in report.reason


@pytest.mark.parametrize("code", [486, 508])
def test_one_without_room_has_still_said_which_secret_it_takes(code: int) -> None:
    report = probed(Pretended(refusals={stun.Method.ALLOCATE: code}), logins=(WRONG, LOGIN))
    assert (report.verdict, report.login) == (Verdict.OVERLOADED, 1)
    assert probed(Pretended(refusals={0: code}), logins=(WRONG, LOGIN)).login is None  # before it looked at one


def test_a_stale_nonce_is_replaced() -> None:
    pretended = Pretended(stale_after_login=True)
    assert probed(pretended).verdict is Verdict.UP
    assert pretended.allocations == 0


@pytest.mark.parametrize("method", [0, stun.Method.ALLOCATE])
def test_a_port_that_the_server_still_knows_from_before_is_exchanged_for_another(method: int) -> None:
    connects = []

    def connect(wish: Connect) -> Event:
        connects.append(wish)
        if len(connects) == 2:
            pretended.refusals.clear()
        return Connected()

    pretended = Pretended(refusals={method: 437})
    assert probed(pretended, connects=connect).verdict is Verdict.UP
    assert len(connects) == 2


def test_a_relay_through_which_nothing_comes_is_silent_and_given_back() -> None:
    pretended = Pretended(relays=lambda number: False)
    report = probed(pretended)
    assert (report.verdict, report.failed_step, report.loss) == (Verdict.RELAY_SILENT, "echo", 1.0)
    assert pretended.allocations == 0
    assert report.quiet == 0.0  # it said that it took the relay back


def test_a_report_says_how_long_ago_the_server_was_heard_last() -> None:
    pretended = Pretended()
    drive = drive_of(pretended)
    drive.run_until(lambda: len(pretended.channels) == 1)
    pretended.silent = True
    report = drive.go_on()
    assert (report.verdict, report.was_reached) == (Verdict.RELAY_SILENT, True)
    assert report.quiet == pytest.approx(1.5 + 4 * 0.02 + 1.0)


@pytest.mark.parametrize(("through", "verdict"), [(2, Verdict.RELAY_SILENT), (3, Verdict.UP)])
def test_a_relay_that_loses_most_is_as_good_as_silent(through: int, verdict: Verdict) -> None:
    report = probed(Pretended(relays=lambda number: number <= through))
    assert report.verdict is verdict
    assert report.loss == pytest.approx(1 - through / 5)


def test_a_server_that_does_not_relay_to_us_is_forbidden() -> None:
    pretended = Pretended(forbidden=[PEER[0]])
    report = probed(pretended)
    assert (report.verdict, report.failed_step) == (Verdict.PEER_FORBIDDEN, "bind")
    assert pretended.allocations == 0


def test_one_of_our_addresses_that_it_relays_to_is_enough() -> None:
    echo = EchoFound([("10.0.0.9", 7882), PEER, PEER6], "echo", ECHO_PASSWORD)
    pretended = Pretended(forbidden=["10.0.0.9"])
    assert probed(pretended, echo=echo).verdict is Verdict.UP
    assert PEER6 not in pretended.channels.values()


@pytest.mark.parametrize("server", [UDP, TCP])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_questions_about_our_other_addresses_that_get_no_answer_leave_time_for_the_one_that_does(
    place: int, server: Server
) -> None:
    ignored = ["10.0.0.7", "10.0.0.8", "10.0.0.9"]
    peers = [(host, 7882) for host in ignored]
    peers.insert(place, PEER)
    pretended = Pretended(ignored=ignored)
    report = probed(pretended, server=server, echo=EchoFound(peers, "echo", ECHO_PASSWORD))
    assert (report.verdict, report.loss) == (Verdict.UP, 0.0)
    assert sum(step.seconds for step in report.steps) < 5.0
    assert pretended.allocations == 0


def test_if_none_of_our_addresses_gets_an_answer_the_server_is_given_up_in_time() -> None:
    ignored = ["10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.10"]
    echo = EchoFound([(host, 7882) for host in ignored], "echo", ECHO_PASSWORD)
    pretended = Pretended(ignored=ignored)
    report = probed(pretended, echo=echo)
    assert (report.verdict, report.failed_step) == (Verdict.DOWN, "bind")
    assert sum(step.seconds for step in report.steps) < 3.2
    assert pretended.allocations == 0


def test_those_of_our_addresses_that_are_reached_from_everywhere_are_tried_first() -> None:
    public = ("9.9.9.9", 7882)
    peers = [*((f"10.0.{number}.1", 7882) for number in range(5)), public]
    pretended = Pretended()
    assert probed(pretended, echo=EchoFound(peers, "echo", ECHO_PASSWORD)).verdict is Verdict.UP
    assert list(pretended.channels.values()) == [public, *peers[:3]]


def test_addresses_that_are_denied_do_not_keep_the_others_from_being_tried() -> None:
    denied = [f"10.0.{number}.1" for number in range(8)]
    echo = EchoFound([*((host, 7882) for host in denied), PEER], "echo", ECHO_PASSWORD)
    assert probed(Pretended(forbidden=denied), echo=echo).verdict is Verdict.UP


@pytest.mark.parametrize("round_trip", [0.010, 0.100, 0.350])
def test_only_one_check_is_sent_to_each_of_our_addresses_and_the_others_to_the_first_that_answers(
    round_trip: float,
) -> None:
    """A hundred servers that are probed at once would else be more than the media port answers."""
    peers = [PEER, *((f"203.0.113.{number}", 7882) for number in range(3))]
    pretended = Pretended(delay=round_trip)
    report = probed(pretended, echo=EchoFound(peers, "echo", ECHO_PASSWORD))
    assert (report.verdict, report.loss, pretended.echoes) == (Verdict.UP, 0.0, len(peers) + 4)


@pytest.mark.parametrize("lost", [1, 2])
def test_if_the_first_check_to_all_of_them_is_lost_it_is_sent_again(lost: int) -> None:
    peers = [PEER, ("203.0.113.1", 7882)]
    report = probed(Pretended(relays=lambda number: number > 2 * lost), echo=EchoFound(peers, "echo", ECHO_PASSWORD))
    assert (report.verdict, report.loss) == (Verdict.UP, pytest.approx(lost / 5))


def test_a_connection_that_breaks_while_channels_are_bound_is_no_question_of_the_address() -> None:
    echo = EchoFound([("10.0.0.9", 7882), PEER], "echo", ECHO_PASSWORD)
    drive = drive_of(Pretended(ignored=["10.0.0.9"]), echo=echo, server=TCP)
    drive.come(0.5, broken(Verdict.DOWN, "it closed the connection"))
    report = drive.run()
    assert (report.verdict, report.reason, report.failed_step) == (Verdict.DOWN, "it closed the connection", "bind")


@pytest.mark.parametrize(("host", "asks"), [("192.0.2.1", False), ("2001:db8::1", True)])
def test_unless_told_otherwise_it_asks_for_a_relay_of_the_family_of_the_server(host: str, asks: bool) -> None:
    pretended = Pretended()
    drive_of(pretended, resolved=Resolved([(host, 3478)]), ipv6=None).run()
    family = attribute(0x0017, bytes([stun.IPV6_PROTOCOL, 0, 0, 0]))  # REQUESTED-ADDRESS-FAMILY
    allocates = [data for data in pretended.heard if data[:2] == b"\0\3"]
    assert [family in data for data in allocates] == [asks, asks]


def test_without_an_address_of_the_relay_s_family_nothing_is_said_of_the_server() -> None:
    assert probed(Pretended(), echo=EchoFound([PEER6], "echo", "")).verdict is Verdict.OWN_NETWORK_BROKEN


def test_who_answers_with_another_password_does_not_answer() -> None:
    assert probed(Pretended(), echo=EchoFound([PEER], "echo", "another")).verdict is Verdict.RELAY_SILENT


@pytest.mark.parametrize("server", [UDP, TCP, STUN])
def test_a_silent_server_is_given_up_in_time(server: object) -> None:
    report = probed(Pretended(silent=True), server=server)  # type: ignore[arg-type]
    assert report.verdict is Verdict.DOWN
    assert sum(step.seconds for step in report.steps) < 3.1


def test_a_lost_datagram_is_sent_again() -> None:
    assert probed(Pretended(deaf_to=2)).verdict is Verdict.UP


@pytest.mark.parametrize("verdict", [Verdict.DOWN, Verdict.TLS_ERROR, Verdict.CERTIFICATE_EXPIRED])
def test_a_connection_that_fails_decides_at_once(verdict: Verdict) -> None:
    report = probed(Pretended(), connects=lambda connect: broken(verdict, "why"))
    assert (report.verdict, report.reason, report.failed_step) == (verdict, "why", "connect")
    assert sum(step.seconds for step in report.steps) < 0.01


def test_another_address_of_the_same_name_is_tried() -> None:
    def connects(connect: Connect) -> Event:
        return Connected() if ":" in connect.address[0] else broken(Verdict.DOWN)

    report = probed(
        Pretended(), connects=connects, resolved=Resolved([("192.0.2.1", 3478), ("2001:db8::1", 3478)]), server=TCP
    )
    assert (report.verdict, report.address) == (Verdict.UP, ("2001:db8::1", 3478))


OURS, THEIRS = Verdict.OWN_NETWORK_BROKEN, Verdict.DOWN


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([THEIRS, OURS], THEIRS),
        ([OURS, THEIRS], THEIRS),
        ([OURS, OURS], OURS),
        ([Verdict.CERTIFICATE_EXPIRED, OURS], Verdict.CERTIFICATE_EXPIRED),
        ([OURS, Verdict.TLS_ERROR, THEIRS], Verdict.TLS_ERROR),
    ],
)
def test_of_addresses_that_all_fail_the_one_is_told_that_says_most_about_the_server(
    found: list[Verdict], told: Verdict
) -> None:
    """On a machine without IPv6 the last address of a server with both would else be an excuse for everything."""
    addresses = [(f"192.0.2.{number}", 3478) for number in range(len(found))]
    verdicts = dict(zip(addresses, found, strict=True))
    report = probed(
        Pretended(), server=TCP, resolved=Resolved(addresses), connects=lambda wish: broken(verdicts[wish.address])
    )
    assert (report.verdict, report.failed_step) == (told, "connect")
    assert report.address == addresses[found.index(told)]
    assert [step.name for step in report.steps] == ["resolve", "connect"]


@pytest.mark.parametrize("server", [UDP, TCP, STUN])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_address_from_which_nothing_comes_leaves_time_for_the_others(server: Server, place: int) -> None:
    addresses = [(f"192.0.2.{number}", 3478) for number in range(3)]
    pretended = Pretended()

    def connects(wish: Connect) -> Event:
        pretended.silent = wish.address != addresses[place]
        return Connected()

    report = probed(pretended, server=server, resolved=Resolved(addresses), connects=connects)
    assert (report.verdict, report.address) == (Verdict.UP, addresses[place])
    assert not report.failed_step
    assert pretended.allocations == 0


def test_an_address_that_refuses_datagrams_is_followed_by_the_next() -> None:
    addresses = [("192.0.2.1", 3478), ("192.0.2.2", 3478)]

    def connects(wish: Connect) -> Event:
        if wish.address == addresses[0]:
            drive.come(0.005, broken(Verdict.DOWN, "refused"))  # comes before any answer
        return Connected()

    drive = drive_of(Pretended(), resolved=Resolved(addresses), connects=connects)
    report = drive.run()
    assert (report.verdict, report.address) == (Verdict.UP, addresses[1])


def test_one_that_answers_and_does_not_work_is_not_followed_by_another() -> None:
    addresses = [("192.0.2.1", 3478), ("192.0.2.2", 3478)]
    report = probed(Pretended(), logins=(WRONG,), resolved=Resolved(addresses))
    assert (report.verdict, report.address) == (Verdict.CREDENTIAL_ERROR, addresses[0])


def test_a_name_without_an_address_is_down() -> None:
    report = probed(Pretended(), resolved=Resolved([]))
    assert (report.verdict, report.failed_step) == (Verdict.DOWN, "resolve")


def test_a_stun_server_says_how_it_sees_us() -> None:
    report = probed(Pretended(), server=STUN, logins=())
    assert (report.verdict, report.mapped) == (Verdict.UP, ("192.0.2.7", 4000))
    assert report.round_trip == pytest.approx(0.010)


class Late(Pretended):
    """Answers what is signed when nobody waits for it any more."""

    def answers(self, data: bytes) -> list[bytes]:
        found = super().answers(data)
        self.delay = 3.2 if data[:2] == b"\0\3" and "USERNAME" in self.asked[-1].attributes else 0.01
        return found

    def _serve(self, request: stun.Message, response: stun.Message) -> None:
        super()._serve(request, response)
        self.allocations = min(self.allocations, 1)  # one for each client's address, however often it is asked for


def test_a_relay_of_which_we_are_told_too_late_is_given_back_too() -> None:
    pretended = Late()
    report = probed(pretended)
    assert (report.verdict, report.failed_step) == (Verdict.DOWN, "allocate")
    assert pretended.asked[-1].message_method == stun.Method.REFRESH
    assert pretended.allocations == 0


def test_so_is_one_that_was_asked_for_when_the_probe_is_abandoned() -> None:
    pretended = Late()
    drive = drive_of(pretended)
    drive.run_until(lambda: pretended.allocations == 1)
    for action in drive.probe.abandon():
        assert isinstance(action, Send)
        pretended.answers(action.data)
    assert pretended.allocations == 0


def test_nothing_is_given_back_where_nothing_was_given() -> None:
    for pretended in (Pretended(silent=True), Pretended(passwords=("another",))):
        probed(pretended)
        assert all(request.message_method == stun.Method.ALLOCATE for request in pretended.asked)


def test_who_sends_one_empty_datagram_after_the_other_is_not_listened_to_for_long() -> None:
    drive = drive_of(Pretended(silent=True))
    for number in range(5_000):
        drive.come(0.1 + number / 10_000, Received(b""))
    report = drive.run()
    assert (report.verdict, report.reason) == (Verdict.DOWN, "it sends more than a server has to say")


@pytest.mark.parametrize("relays", [True, False])
def test_however_slow_a_server_is_a_probe_takes_five_seconds_with_the_relay_given_back(relays: bool) -> None:
    for hundredths in range(1, 300, 3):
        pretended = Pretended(delay=hundredths / 100, relays=lambda number: relays)
        drive = drive_of(pretended)
        began = drive.now
        drive.run()
        assert drive.now - began <= Timing().whole + 0.001
        assert pretended.asked[-1].message_method == stun.Method.REFRESH or pretended.allocations == 0
