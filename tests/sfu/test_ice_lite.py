"""ICE-lite: which checks are answered, and which address media goes to."""

from __future__ import annotations

from itertools import count

import pytest

from sfu import stun
from sfu.ice_lite import Credentials, IceLite, ufrag_of

OLD, NEW = Credentials("0a0a0a0a0a0a", "old-password-of-32-characters-ok"), Credentials("0b0b0b0b0b0b", "n" * 32)
THEIRS, THEIR_NEW = Credentials("theirs", "their-password"), Credentials("fresh", "their-new-password")
_random = count(1)
SOURCE = ("192.0.2.9", 4000)


def check(
    credentials: Credentials = OLD, priority: int = 100, *, nominate: bool = True, password: str | None = None
) -> stun.Binding:
    username = f"{credentials.ufrag}:theirs"
    return stun.parse(
        stun.binding_request(b"t" * 12, username, password or credentials.password, priority, 1, nominate=nominate)
    )


def agent() -> IceLite[str]:
    return IceLite(OLD, THEIRS, lambda bits: next(_random) & ((1 << bits) - 1), 0.0)


def test_an_authentic_check_is_answered_so_that_the_client_can_tell_it_was_us() -> None:
    verdict = agent().handle_check(check(nominate=False), "wifi", SOURCE, 1.0)
    assert verdict is not None
    assert (verdict.authentic, verdict.nominated) == (True, False)
    response = stun.parse(verdict.response)
    assert not response.is_request
    assert response.is_authentic(OLD.password)


def test_a_check_that_is_not_authentic_is_not_even_answered() -> None:
    ice = agent()
    assert ice.handle_check(check(password="guessed"), "wifi", SOURCE, 50.0) is None
    assert ice.handle_check(check(NEW), "wifi", SOURCE, 50.0) is None
    assert (ice.selected, ice.heard_at) == (None, 0.0)


def test_a_controlled_client_is_told_to_switch_roles() -> None:
    ice = agent()
    datagram = bytearray(bytes(check()._message))
    request = stun.parse(bytes(datagram))
    request._message.attributes["ICE-CONTROLLED"] = request._message.attributes.pop("ICE-CONTROLLING")
    for name in ("MESSAGE-INTEGRITY", "FINGERPRINT"):
        request._message.attributes.pop(name, None)
    request._message.add_message_integrity(OLD.password.encode())
    verdict = ice.handle_check(stun.parse(bytes(request._message)), "wifi", SOURCE, 1.0)
    assert verdict is not None
    assert (verdict.authentic, ice.selected, ice.heard_at) == (False, None, 0.0)
    assert b"Role Conflict" in verdict.response
    assert verdict.response[:2] == b"\x01\x11"  # a binding error


@pytest.mark.parametrize("order", [["wifi", "lte"], ["lte", "wifi"]])
def test_the_nomination_of_the_highest_priority_wins_in_any_order(order: list[str]) -> None:
    ice = agent()
    for path in order:
        ice.handle_check(check(priority={"wifi": 200, "lte": 100}[path]), path, SOURCE, 1.0)
    assert ice.selected == "wifi"


def test_a_check_without_nomination_moves_nothing() -> None:
    ice = agent()
    ice.handle_check(check(priority=1), "wifi", SOURCE, 1.0)
    ice.handle_check(check(priority=999, nominate=False), "lte", SOURCE, 20.0)
    assert ice.selected == "wifi"


def test_a_path_that_fell_silent_gives_way_to_a_lower_priority() -> None:
    ice = agent()
    ice.handle_check(check(priority=200), "wifi", SOURCE, 1.0)
    ice.handle_check(check(priority=200, nominate=False), "wifi", SOURCE, 5.0)
    ice.handle_check(check(priority=100), "lte", SOURCE, 5.5)
    assert ice.selected == "wifi"
    verdict = ice.handle_check(check(priority=100), "lte", SOURCE, 5.7)
    assert (ice.selected, verdict and verdict.nominated) == ("lte", True)


def test_a_restart_keeps_the_old_generation_until_the_new_one_nominates() -> None:
    ice = agent()
    ice.handle_check(check(priority=200), "wifi", SOURCE, 1.0)
    ice.restart(NEW, THEIR_NEW)
    assert (ice.credentials, ice.ufrags) == (NEW, (OLD.ufrag, NEW.ufrag))
    assert ice.handle_check(check(nominate=False), "wifi", SOURCE, 2.0) is not None
    ice.handle_check(check(NEW, 50, nominate=False), "lte", SOURCE, 3.0)
    assert ice.selected == "wifi"
    ice.handle_check(check(NEW, 50), "lte", SOURCE, 4.0)
    assert (ice.selected, ice.ufrags) == ("lte", (NEW.ufrag,))
    assert ice.handle_check(check(), "wifi", SOURCE, 5.0) is None


def test_the_old_generation_cannot_take_the_path_back() -> None:
    ice = agent()
    ice.handle_check(check(priority=200), "wifi", SOURCE, 1.0)
    ice.restart(NEW, THEIR_NEW)
    ice.handle_check(check(NEW, 1), "lte", SOURCE, 2.0)
    ice.handle_check(check(OLD, 999), "wifi", SOURCE, 3.0)
    assert ice.selected == "lte"


def test_restarts_in_a_row_keep_the_one_in_use_and_the_newest() -> None:
    ice = agent()
    ice.handle_check(check(), "wifi", SOURCE, 1.0)
    ice.restart(Credentials("0c0c0c0c0c0c", "b" * 32), THEIR_NEW)
    ice.restart(NEW, THEIR_NEW)
    assert ice.ufrags == (OLD.ufrag, NEW.ufrag)


def test_a_restart_before_any_nomination_ends_what_was() -> None:
    ice = agent()
    ice.restart(NEW, THEIR_NEW)
    assert ice.ufrags == (NEW.ufrag,)


def test_every_authentic_check_counts_as_a_sign_of_life() -> None:
    ice = agent()
    ice.handle_check(check(), "wifi", SOURCE, 1.0)
    ice.handle_check(check(nominate=False), "lte", SOURCE, 9.0)
    assert ice.heard_at == 9.0


# ------------------------------------------------------------------------------- after the handshake: our own checks


def proven(now: float = 1.0) -> IceLite[str]:
    """An agent whose client is connected by wifi, at priority 100, and was heard of `now`."""
    ice = agent()
    ice.handle_check(check(), "wifi", SOURCE, now)
    ice.proven = True
    return ice


def answer_to(datagram: bytes, password: str = THEIRS.password) -> stun.Binding:
    return stun.parse(stun.success_response(stun.parse(datagram), ("192.0.2.1", 7882), password))


def nominate(ice: IceLite[str], path: str, priority: int, now: float, credentials: Credentials = OLD) -> bytes | None:
    verdict = ice.handle_check(check(credentials, priority), path, SOURCE, now)
    return verdict.check if verdict else None


def test_a_nomination_moves_media_only_when_the_path_has_answered_a_check_of_ours() -> None:
    ice = proven()
    own = nominate(ice, "lte", 200, 1.1)
    assert own is not None
    assert ice.selected == "wifi"
    asked = stun.parse(own)
    assert (asked.username, asked.controlled, asked.use_candidate) == (f"theirs:{OLD.ufrag}", True, False)
    assert asked.is_authentic(THEIRS.password)
    assert ufrag_of(asked.transaction_id) == OLD.ufrag
    assert ice.handle_response(answer_to(own), "lte", 1.2)
    assert ice.selected == "lte"


def test_an_answer_counts_only_from_the_path_that_was_asked_once_and_with_the_right_password() -> None:
    ice = proven()
    own = nominate(ice, "victim", 200, 1.1)
    assert own is not None
    assert not ice.handle_response(answer_to(own, "guessed"), "victim", 1.2)
    assert not ice.handle_response(answer_to(own), "attacker", 1.2)
    assert ice.selected == "wifi"
    assert ice.handle_response(answer_to(own), "victim", 1.3)
    ice.selected = "wifi"
    assert not ice.handle_response(answer_to(own), "victim", 1.4)
    assert ice.selected == "wifi"


def test_a_replayed_check_from_elsewhere_never_moves_media() -> None:
    ice = proven()
    recorded = check(nominate=True)
    for second in range(2, 40):
        ice.handle_check(recorded, "attacker", SOURCE, float(second))
        for _path, _datagram in ice.due(float(second)):
            pass  # the attacker cannot answer: it has no password
    assert ice.selected == "wifi"


def test_a_check_from_elsewhere_does_nothing_while_the_path_in_use_is_heard() -> None:
    ice = proven(1.0)
    verdict = ice.handle_check(check(nominate=False), "lte", SOURCE, 1.5)
    assert verdict is not None
    assert verdict.check is None


def test_a_rebound_client_is_followed_without_a_nomination() -> None:
    ice = proven(1.0)
    verdict = ice.handle_check(check(nominate=False), "rebound", SOURCE, 1.7)
    assert verdict is not None
    assert verdict.check is not None
    assert ice.handle_response(answer_to(verdict.check), "rebound", 1.75)
    assert ice.selected == "rebound"


def test_media_counts_as_a_sign_that_the_path_in_use_lives() -> None:
    ice = proven(1.0)
    ice.selected_heard = 9.0
    assert ice.consider("elsewhere", 9.5) is None
    assert ice.consider("elsewhere", 9.7) is not None
    assert ice.consider("elsewhere", 9.8) is None  # it is on its way


def test_a_lower_priority_is_not_even_checked() -> None:
    assert nominate(proven(), "lte", 99, 1.1) is None


def test_an_unanswered_check_is_repeated_ever_more_rarely_and_then_given_up() -> None:
    ice = proven()
    own = nominate(ice, "lte", 200, 0.0 + 1.0)
    sent = [round(at / 100 - 1.0, 2) for at in range(100, 500) if ice.due(at / 100)]
    assert sent == pytest.approx([0.1, 0.3, 0.7, 1.5], abs=0.011)
    assert own is not None
    assert not ice.handle_response(answer_to(own), "lte", 5.0)


def test_checks_in_flight_are_bounded() -> None:
    ice = proven()
    assert sum(nominate(ice, f"path-{number}", 200, 1.1) is not None for number in range(50)) == 8


def test_a_restarted_client_moves_with_its_new_password() -> None:
    ice = proven()
    ice.restart(NEW, THEIR_NEW)
    own = nominate(ice, "wifi", 1, 1.1, NEW)
    assert own is not None
    assert stun.parse(own).username == f"fresh:{NEW.ufrag}"
    assert ice.ufrags == (OLD.ufrag, NEW.ufrag)
    assert ice.handle_response(answer_to(own, THEIR_NEW.password), "wifi", 1.2)
    assert ice.ufrags == (NEW.ufrag,)
