"""Clients are told where we are reached, and in which order to prefer it."""

from __future__ import annotations

from sfu.candidates import Candidate, candidate_priority, default_destination, tcp_priority

V4, V6 = Candidate("192.0.2.1", 3479, candidate_priority("host", 1)), Candidate("2001:db8::1", 3478, foundation="2")
TCP = Candidate("192.0.2.1", 3478, tcp_priority(), "tcp1", transport="tcp")


def test_priorities_are_those_of_rfc_8445() -> None:
    assert candidate_priority("host") == 2**24 * 126 + 2**8 * 65535 + 255
    assert candidate_priority("prflx") == 2**24 * 110 + 2**8 * 65535 + 255
    assert candidate_priority("host", 0) > candidate_priority("prflx")


def test_tcp_comes_after_all_that_is_direct_on_udp_and_before_relays() -> None:
    # RFC 6544 section 4.2: direction preference 4 times 2^13, plus 8191 for the first, as local preference.
    assert tcp_priority() == 2**24 * 90 + 2**8 * (4 * 2**13 + 8191) + 255
    # RFC 8445 section 5.1.2.2: a client's address that a STUN server told it has the preference 100, a relay's 0.
    assert 2**24 * 100 > tcp_priority(0) > tcp_priority(1) > 2**24


def test_a_candidate_is_told_with_its_transport_and_on_tcp_the_client_connects() -> None:
    assert V6.attribute() == "a=candidate:2 1 udp 2130706431 2001:db8::1 3478 typ host"
    assert TCP.attribute() == f"a=candidate:tcp1 1 tcp {TCP.priority} 192.0.2.1 3478 typ host tcptype passive"


def test_the_default_destination_is_on_udp_and_ipv4_where_there_is_any() -> None:
    assert default_destination([TCP, V6, V4]) == V4
    assert default_destination([TCP, V6]) == V6
    assert (V4.family, V6.family) == ("IP4", "IP6")
    second = Candidate("192.0.2.2", 3479, candidate_priority("host", 0))
    assert default_destination([second, V4]) == V4


def test_without_udp_the_default_destination_is_nowhere() -> None:
    nowhere = default_destination([TCP])
    assert (nowhere.family, nowhere.address, nowhere.port) == ("IP4", "0.0.0.0", 9)
