"""What clients are told of STUN and TURN."""

from __future__ import annotations

from signalling import messages as m
from signalling.ice_servers import IceServerList
from turn_probe.credentials import accepts


def test_nothing_configured_is_an_empty_list() -> None:
    assert IceServerList().for_participant("p", 0.0) == []


def test_stun_needs_no_login() -> None:
    assert IceServerList(stun=["stun:s.example:3478"]).for_participant("p", 0.0) == [
        m.IceServer(urls=["stun:s.example:3478"])
    ]


def test_turn_comes_with_a_login_made_with_the_newest_secret() -> None:
    (server,) = IceServerList(turn=["turn:t.example:3478"], turn_secrets=["new", "old"], lifetime=60.0).for_participant(
        "p_1", 1000.0
    )
    assert server.username == "1060:p_1"
    assert isinstance(server.credential, str)
    assert accepts(["new"], server.username, server.credential, 1000.0)
    assert not accepts(["old"], server.username, server.credential, 1000.0)
