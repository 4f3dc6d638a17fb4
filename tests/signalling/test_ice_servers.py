"""What clients are told of STUN and TURN."""

from __future__ import annotations

from signalling import messages as m
from signalling.ice_servers import IceServerList
from turn_probe.credentials import FixedUser, accepts, accounts
from turn_probe.fleet import Offer, Offered
from turn_probe.urls import parse


def test_nothing_configured_is_an_empty_list() -> None:
    assert IceServerList().for_participant("p", 0.0) == []


def test_stun_needs_no_login() -> None:
    assert IceServerList(stun=["stun:s.example:3478"]).for_participant("p", 0.0) == [
        m.IceServer(urls=["stun:s.example:3478"])
    ]


def test_turn_comes_with_a_login_made_with_the_newest_secret() -> None:
    (server,) = IceServerList(
        turn=["turn:t.example:3478"], accounts=accounts(["new", "old"]), lifetime=60.0
    ).for_participant("p_1", 1000.0)
    assert server.username == "1060:p_1"
    assert isinstance(server.credential, str)
    assert accepts(["new"], server.username, server.credential, 1000.0)
    assert not accepts(["old"], server.username, server.credential, 1000.0)


def test_what_was_measured_is_handed_out_in_its_order_and_signed_as_each_server_wants_it() -> None:
    ice = IceServerList(["stun:s.example"], ["turn:a.example", "turn:b.example"], accounts(["new", "old"]), 60.0)
    a, b, c = (parse(f"turn:{name}.example") for name in "abc")
    ice.take(Offered((Offer(b), Offer(c), Offer(a, 1)), ()))
    first, second = ice.for_participant("p", 1000.0)
    assert (first.urls, second.urls) == (["turn:b.example", "turn:c.example"], ["turn:a.example"])
    assert isinstance(first.username, str)
    assert isinstance(first.credential, str)
    assert isinstance(second.credential, str)
    assert accepts(["new"], first.username, first.credential, 1000.0)
    assert accepts(["old"], first.username, second.credential, 1000.0)


def test_with_no_server_left_nothing_is_handed_out() -> None:
    ice = IceServerList(["stun:s.example"], ["turn:a.example"], accounts(["new"]))
    ice.take(Offered((), (), "all are down"))
    assert ice.for_participant("p", 0.0) == []


def test_turn_without_a_secret_is_of_no_use_to_anybody() -> None:
    assert IceServerList(turn=["turn:a.example"]).for_participant("p", 0.0) == []


def test_a_fixed_login_is_handed_out_as_it_is_and_a_secret_before_it() -> None:
    fixed = FixedUser("everybody", "its password")
    (server,) = IceServerList(turn=["turn:a.example"], accounts=accounts([], fixed)).for_participant("p", 1000.0)
    assert (server.username, server.credential) == ("everybody", "its password")

    ice = IceServerList(turn=["turn:a.example", "turn:b.example"], accounts=accounts(["new"], fixed), lifetime=60.0)
    (server,) = ice.for_participant("p", 1000.0)
    assert server.username == "1060:p"
    ice.take(Offered((Offer(parse("turn:a.example")), Offer(parse("turn:b.example"), 1)), ()))
    assert [server.username for server in ice.for_participant("p", 1000.0)] == ["1060:p", "everybody"]
