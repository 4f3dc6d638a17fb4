"""A server may name another one to ask instead: it is followed as clients follow it, and not without end."""

from __future__ import annotations

import pytest

from turn_probe.events import Connect, Connected, Event
from turn_probe.report import Report, Verdict
from turn_probe.urls import Server, Transport, parse

from .pretend import STUN, TCP, UDP, Pretended, alternate, attribute, broken, probed

TLS = parse("turns:turn.example")
FIRST, SECOND, THIRD = ("192.0.2.1", 3478), ("192.0.2.2", 3478), ("192.0.2.3", 99)


def goes(
    pretended: Pretended, server: Server = UDP, dead: tuple[str, int] | None = None
) -> tuple[Report, list[Connect]]:
    """What a probe finds, and where it went."""
    been: list[Connect] = []

    def connects(wish: Connect) -> Event:
        been.append(wish)
        return broken(Verdict.DOWN, "refused") if wish.address == dead else Connected()

    return probed(pretended, server=server, connects=connects), been


@pytest.mark.parametrize("server", [UDP, TCP, TLS])
@pytest.mark.parametrize("late", [False, True])
def test_it_goes_on_at_the_other_server_over_the_same_transport(server: Server, late: bool) -> None:
    pretended = Pretended(alternates=[alternate(*SECOND)], sends_on_late=late)
    report, been = goes(pretended, server)
    assert (report.verdict, report.address, report.was_sent_on) == (Verdict.UP, SECOND, True)
    assert [wish.address for wish in been] == [FIRST, SECOND]
    assert {wish.server.transport for wish in been} == {server.transport}
    assert pretended.allocations == 0


def test_it_begins_there_without_credentials_as_its_realm_and_nonce_are_not_those_of_the_first() -> None:
    pretended = Pretended(alternates=[alternate(*SECOND)], sends_on_late=True)
    goes(pretended)
    assert ["USERNAME" in request.attributes for request in pretended.asked[:4]] == [False, True, False, True]


def test_the_name_in_the_certificate_is_that_of_the_first_unless_the_first_names_another() -> None:
    _, been = goes(Pretended(alternates=[alternate(*SECOND), alternate(*THIRD, domain="Other.Example")]), TLS)
    assert [wish.server.host for wish in been] == ["turn.example", "turn.example", "other.example"]
    assert {wish.server.transport for wish in been} == {Transport.TLS}


def test_a_stun_server_may_do_so_too() -> None:
    report, _ = goes(Pretended(alternates=[alternate(*SECOND)]), STUN)
    assert (report.verdict, report.address) == (Verdict.UP, SECOND)


@pytest.mark.parametrize(
    ("alternates", "reason"),
    [
        ([alternate(*FIRST)], "circles"),
        ([alternate(*SECOND), alternate(*FIRST)], "circles"),
        ([alternate(*SECOND), alternate(*THIRD), alternate("192.0.2.4", 1)], "sends us on and on"),
        ([b""], "and does not say where"),
        ([alternate("192.0.2.2", 0)], "nobody can be"),
        ([alternate("255.255.255.255", 3478)], "nobody can be"),
        ([alternate("224.0.0.1", 3478)], "nobody can be"),
        ([alternate("0.0.0.0", 3478)], "nobody can be"),
        ([alternate("2001:db8::1", 3478)], "another family"),
        ([alternate(*SECOND, domain="a b")], "domain"),
    ],
)
def test_it_does_not_go_where_there_is_nothing_to_be_found(alternates: list[bytes], reason: str) -> None:
    report, been = goes(Pretended(alternates=alternates))
    assert (report.verdict, report.failed_step) == (Verdict.DOWN, "redirect")
    assert reason in report.reason
    assert len({wish.address for wish in been}) == len(been) <= 3


def test_an_address_that_is_none_is_as_if_nothing_had_been_said() -> None:
    report, been = goes(Pretended(alternates=[attribute(0x8023, b"\0\1\0")] * 9))
    assert (report.verdict, len(been)) == (Verdict.DOWN, 1)


def test_that_the_other_one_is_dead_is_told_as_what_it_is() -> None:
    report, _ = goes(Pretended(alternates=[alternate(*SECOND)]), dead=SECOND)
    assert (report.verdict, report.failed_step, report.reason) == (Verdict.DOWN, "redirect", "refused")
