"""A path tells whether it is a connection, and what comes by TCP is never taken for what comes by UDP."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.path import Path, tcp_address

V4, V6 = ("192.0.2.1", 4000), ("2001:db8::1", 4000, 0, 0)


@pytest.mark.parametrize("address", [V4, V6])
def test_an_address_of_udp_is_no_connection_and_the_same_one_on_tcp_is(address: tuple[Any, ...]) -> None:
    on_tcp = tcp_address(*address[:2])
    assert on_tcp != address
    assert on_tcp[:2] == address[:2]
    assert not Path(None, address).on_tcp  # type: ignore[arg-type]
    assert Path(None, on_tcp).on_tcp  # type: ignore[arg-type]
