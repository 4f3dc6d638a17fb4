"""ICE-lite: which checks are answered, and which address media goes to."""

from __future__ import annotations

import pytest

from sfu import stun
from sfu.ice_lite import Credentials, IceLite

OLD, NEW = Credentials("oldufrag", "old-password-of-32-characters-ok"), Credentials("newufrag", "n" * 32)
SOURCE = ("192.0.2.9", 4000)


def check(
    credentials: Credentials = OLD, priority: int = 100, *, nominate: bool = True, password: str | None = None
) -> stun.Binding:
    username = f"{credentials.ufrag}:theirs"
    return stun.parse(
        stun.binding_request(b"t" * 12, username, password or credentials.password, priority, 1, nominate=nominate)
    )


def agent() -> IceLite[str]:
    return IceLite(OLD, 0.0)


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
    ice.handle_check(check(priority=100), "lte", SOURCE, 11.9)
    assert ice.selected == "wifi"
    verdict = ice.handle_check(check(priority=100), "lte", SOURCE, 12.1)
    assert (ice.selected, verdict and verdict.nominated) == ("lte", True)


def test_a_restart_keeps_the_old_generation_until_the_new_one_nominates() -> None:
    ice = agent()
    ice.handle_check(check(priority=200), "wifi", SOURCE, 1.0)
    ice.restart(NEW)
    assert (ice.credentials, ice.ufrags) == (NEW, ("oldufrag", "newufrag"))
    assert ice.handle_check(check(nominate=False), "wifi", SOURCE, 2.0) is not None
    ice.handle_check(check(NEW, 50, nominate=False), "lte", SOURCE, 3.0)
    assert ice.selected == "wifi"
    ice.handle_check(check(NEW, 50), "lte", SOURCE, 4.0)
    assert (ice.selected, ice.ufrags) == ("lte", ("newufrag",))
    assert ice.handle_check(check(), "wifi", SOURCE, 5.0) is None


def test_the_old_generation_cannot_take_the_path_back() -> None:
    ice = agent()
    ice.handle_check(check(priority=200), "wifi", SOURCE, 1.0)
    ice.restart(NEW)
    ice.handle_check(check(NEW, 1), "lte", SOURCE, 2.0)
    ice.handle_check(check(OLD, 999), "wifi", SOURCE, 3.0)
    assert ice.selected == "lte"


def test_restarts_in_a_row_keep_the_one_in_use_and_the_newest() -> None:
    ice = agent()
    ice.handle_check(check(), "wifi", SOURCE, 1.0)
    ice.restart(Credentials("between", "b" * 32))
    ice.restart(NEW)
    assert ice.ufrags == ("oldufrag", "newufrag")


def test_a_restart_before_any_nomination_ends_what_was() -> None:
    ice = agent()
    ice.restart(NEW)
    assert ice.ufrags == ("newufrag",)


def test_every_authentic_check_counts_as_a_sign_of_life() -> None:
    ice = agent()
    ice.handle_check(check(), "wifi", SOURCE, 1.0)
    ice.handle_check(check(nominate=False), "lte", SOURCE, 9.0)
    assert ice.heard_at == 9.0
