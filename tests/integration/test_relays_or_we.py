"""When nothing answers any more it may be our own network: then the last list is kept, and that is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.network import one_cable_each, set_cable, set_port
from tests.support.server import RunningServer, running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

from .test_relays import is_known, joined, turn_urls

Cut = Callable[..., None]


async def is_cut_off(server: RunningServer, expected: bool) -> None:
    """Wait until the server says that it is its own network, or no longer."""

    async def told() -> bool:
        metric = (await server.metrics())["auralink_turn_probe_cut_off"]
        checks = json.loads((await server.request("/health/detailed")).body)["checks"]
        return metric == float(expected) and ("turn:network" in checks) is expected

    await eventually(told, 30.0, every=0.1)


async def goes_on(server: RunningServer, turn: TurnServer, rounds: int) -> None:
    """Wait until so many more probes of this server have ended, whatever they found."""

    async def probes() -> float:
        prefix = 'auralink_turn_probes_total{result="'
        found = await server.metrics()
        return sum(value for name, value in found.items() if name.startswith(prefix) and turn.url() in name)

    before = await probes()

    async def enough() -> bool:
        return await probes() >= before + rounds

    await eventually(enough, 60.0, every=0.2)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("cut", [set_cable, set_port], ids=["its own link goes down", "the switch goes silent"])
async def test_when_our_own_network_is_away_the_list_is_kept_and_only_a_relay_that_dies_alone_falls(cut: Cut) -> None:
    with one_cable_each(4) as (ours, first_at, second_at, elsewhere):
        async with (
            TurnServer(network=first_at) as first,
            TurnServer(network=second_at) as second,
            TurnServer(network=elsewhere) as neutral,
            running_server(
                network=ours,
                media_ip=ours.address,
                turn=f"{first.url()},{second.url()}",
                stun=neutral.stun_url,
                turn_secret=SECRET,
                turn_probe_interval=1,
            ) as server,
        ):
            await is_known(server, first.url(), "up")
            await is_known(server, second.url(), "up")
            await is_known(server, neutral.stun_url, "up")  # one that never answered would tell nothing
            async with joined(server, "ada") as ada:
                assert len(turn_urls(await ada.hears("welcome"))) == 2

                cut(ours, up=False)
                await is_cut_off(server, True)
                await goes_on(server, first, rounds=2)
                await goes_on(server, second, rounds=2)
                labels = f'result="own_network_broken",server="{first.url()}",transport="udp"'
                said_so = (await server.metrics())[f"auralink_turn_probes_total{{{labels}}}"]
                assert (said_so > 0) is (cut is set_cable)  # else there is a way out, as far as our machine knows
                async with joined(server, "bob") as bob:
                    assert len(turn_urls(await bob.hears("welcome"))) == 2
                assert "X-Degraded-Mode" not in (await server.request("/health/detailed")).headers
                assert "probably our own network" in server.log

                cut(ours, up=True)
                await is_cut_off(server, False)
                await goes_on(server, first, rounds=4)
                assert (await server.metrics())["auralink_ice_server_list_changes_total"] == 0.0

                await first.kill()
                assert turn_urls(await ada.hears("ice_servers")) == [second.url()]
                await second.kill()
                assert turn_urls(await ada.hears("ice_servers")) == []
                assert (await ada.hears("degraded"))["degradation"]["mode"] == "stun-only"
