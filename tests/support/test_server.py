"""A server that tests run is a real one: reachable, measured, and gone without a trace at the end."""

from __future__ import annotations

import os

import pytest

from .network import Network
from .server import running_server


async def test_a_server_answers_on_the_address_that_it_prints() -> None:
    async with running_server() as server:
        live = await server.request("/health/live")
        assert live.status == 200
        assert await server.metrics()
        assert server.rss > 1_000_000
        assert server.cpu_time > 0


async def test_a_server_ends_in_order_and_leaves_nobody_behind() -> None:
    async with running_server(shutdown_grace=1) as server:
        pass
    assert server.process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(server.pid, 0)


async def test_a_server_can_live_in_a_network_of_its_own(network: Network) -> None:
    async with running_server(network=network) as server:
        assert (await server.request("/health/live")).status == 200
        async with server.websocket() as socket:
            assert socket.subprotocol == "auralink.v1"


async def test_a_wrong_option_fails_with_what_the_server_said() -> None:
    with pytest.raises(AssertionError, match="no-such-option"):
        async with running_server(no_such_option=1):
            pass
