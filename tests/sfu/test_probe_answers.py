"""Probes of relays get an answer from the media port, and nothing else does."""

from __future__ import annotations

import pytest

from sfu import stun
from sfu.budgets import PROBES, PROBES_VERIFIED
from sfu.probe_answers import ProbeAnswers
from tests.turn_probe.pretend import ECHO_PASSWORD, Pretended, probed
from turn_probe import turn
from turn_probe.credentials import echo_login
from turn_probe.events import EchoFound
from turn_probe.report import Verdict

LOGIN = echo_login("a TURN secret")
SOURCE = ("192.0.2.1", 5000)


def answers() -> ProbeAnswers:
    return ProbeAnswers({LOGIN.ufrag: LOGIN.password})


def check(ufrag: str = LOGIN.ufrag, password: str = LOGIN.password) -> bytes:
    return turn.binding(b"t" * 12, f"{ufrag}:probe", password)


def test_a_probe_is_answered_with_where_it_came_from() -> None:
    answer = answers().answer(check(), SOURCE, 0.0)
    assert answer is not None
    assert len(answer) <= len(check())
    reply = turn.parse(answer)
    assert isinstance(reply, turn.Reply)
    assert (reply.mapped, reply.is_signed_with(LOGIN.password)) == (SOURCE, True)


@pytest.mark.parametrize("datagram", [check(password="guessed"), check(ufrag="somebody"), turn.binding(b"t" * 12)])
def test_what_is_not_signed_as_it_should_be_is_not(datagram: bytes) -> None:
    assert answers().answer(datagram, SOURCE, 0.0) is None


def test_what_cannot_be_read_is_refused() -> None:
    named = check()[:-32]  # up to the signature and the fingerprint
    broken = named[:3] + bytes([len(named) - 16]) + named[4:] + b"\0\x24\0\0"  # a priority without a value
    assert stun.username_of(broken) == LOGIN.ufrag
    with pytest.raises(stun.StunError):
        answers().answer(broken, SOURCE, 0.0)


def test_no_more_is_answered_than_probes_may_cost() -> None:
    probes = answers()
    answered = sum(probes.answer(check(), SOURCE, 0.0) is not None for _ in range(int(PROBES.burst) + 100))
    assert answered == PROBES.burst
    assert probes.answer(check(), SOURCE, 1.0) is not None


def test_who_has_seen_a_ufrag_and_forges_checks_does_not_make_relays_look_silent() -> None:
    probes = answers()
    for second in range(5):
        for _ in range(int(PROBES_VERIFIED.per_second) - 100):
            assert probes.answer(check(password="forged"), SOURCE, float(second)) is None
        assert probes.answer(check(), SOURCE, float(second)) is not None


def test_but_not_without_end_is_it_even_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    monkeypatch.setattr(stun.Binding, "is_authentic", lambda self, password: bool(verified.append(self)))
    probes = answers()
    for _ in range(int(PROBES_VERIFIED.burst) + 100):
        assert probes.answer(check(), SOURCE, 0.0) is None
    assert len(verified) == PROBES_VERIFIED.burst


def test_what_is_longer_than_any_check_of_a_probe_is_not_worth_a_look() -> None:
    long = turn.binding(b"t" * 12, f"{LOGIN.ufrag}:{'x' * 300}", LOGIN.password)
    assert answers().answer(long, SOURCE, 0.0) is None


def test_two_hundred_relays_at_once_that_reach_four_addresses_of_ours_are_all_answered() -> None:
    """As after a start, and whenever something fails."""
    peers = [(f"203.0.113.{number}", 7882) for number in range(4)]
    pretended = Pretended()
    assert probed(pretended, echo=EchoFound(peers, "echo", ECHO_PASSWORD)).verdict is Verdict.UP
    assert 200 * pretended.echoes <= PROBES.burst


def test_who_uses_one_login_up_leaves_the_others_alone() -> None:
    other = echo_login("another secret")
    probes = ProbeAnswers({LOGIN.ufrag: LOGIN.password, other.ufrag: other.password})
    for _ in range(int(PROBES.burst) + 100):
        probes.answer(check(), SOURCE, 0.0)
    assert probes.answer(check(), SOURCE, 0.0) is None
    assert probes.answer(check(other.ufrag, other.password), SOURCE, 0.0) is not None


def test_without_a_secret_nobody_is_known() -> None:
    assert not ProbeAnswers({}).knows("")
    assert ProbeAnswers({}).answer(check(ufrag="", password=""), SOURCE, 0.0) is None
