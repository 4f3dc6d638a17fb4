"""A real Prometheus with the configuration that is deployed reads a real server, and its rules and queries work."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.program import Program, running_program
from tests.support.redis_server import redis_server
from tests.support.server import RunningServer, running_server
from tests.support.turn_server import SECRET, TurnServer
from tests.support.waiting import eventually

from .monitoring import PROMETHEUS, RELAYS, SHARING, names_in, queries, rules

KEYS = {"AURALINK_KEYS": "first:" + "0123456789abcdef" * 4}
SCRAPED_WITHIN = 20.0  # seconds; Prometheus waits for five before it asks anybody
# Counted by a label that has no value until something happens, so that there is no series before.
NOT_YET = {"auralink_datagrams_dropped_total"}


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, url: str, program: Program) -> None:
        self._url = url
        self._program = program

    async def ask(self, path: str, **parameters: str) -> Any:
        """What the API answers. Raises AssertionError when that is an error."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        answer = json.loads(await asyncio.to_thread(_get, url))
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, query: str) -> dict[str, float]:
        """The values now of a query that gives an instant vector: instance -> value."""
        data = await self.ask("query", query=query)
        return {each["metric"].get("instance", ""): float(each["value"][1]) for each in data["result"]}

    async def alert(self, name: str) -> str:
        """The state of an alert: inactive, pending or firing."""
        groups = (await self.ask("rules"))["groups"]
        return next(str(rule["state"]) for group in groups for rule in group["rules"] if rule["name"] == name)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


@asynccontextmanager
async def scraping(server: RunningServer, folder: Path) -> AsyncIterator[Prometheus]:
    """Prometheus with what is deployed, but for the address of the server and a shorter interval."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [server.operators_url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(PROMETHEUS / "rules.yml", folder)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]

    async def ready(program: Program) -> bool:
        try:
            return bool(await asyncio.to_thread(_get, f"{url}/-/ready"))
        except OSError:
            return False

    async with running_program(command, folder, ready, within=20) as program:
        yield Prometheus(url, program)


async def test_prometheus_reads_the_server_and_the_dashboard_has_its_numbers(tmp_path: Path) -> None:
    async with (
        redis_server() as redis,
        TurnServer() as turn,
        running_server(environment=KEYS, redis_url=redis.url, turn=turn.url(), turn_secret=SECRET) as server,
        scraping(server, tmp_path) as prometheus,
    ):
        instance = server.operators_url.removeprefix("http://")

        async def counted_twice() -> bool:
            return bool(await prometheus.query("rate(auralink_packets_received_total[1m])"))

        await eventually(counted_twice, SCRAPED_WITHIN)
        assert await prometheus.query("up") == {instance: 1.0}
        assert await prometheus.query("auralink_rooms") == {instance: 0.0}
        for title, query in queries():
            answer = await prometheus.ask("query", query=query)
            names = names_in(query)
            if not names & NOT_YET:
                assert answer["result"], f"{title}: {query} gives nothing"
        for name in SHARING | RELAYS | {name for rule in rules() for name in names_in(rule["expr"])}:
            found = await prometheus.query(f"{{__name__=~'{name}(_bucket)?'}}")
            assert found, f"{name} is not scraped"
        loaded = [rule for group in (await prometheus.ask("rules"))["groups"] for rule in group["rules"]]
        assert [rule["name"] for rule in loaded] == [rule["alert"] for rule in rules()]
        assert {rule["name"]: rule.get("lastError", "") for rule in loaded if rule["health"] == "err"} == {}
        assert {rule["name"] for rule in loaded if rule["state"] != "inactive"} == set()


async def test_a_server_that_has_ended_is_about_to_be_called_down(tmp_path: Path) -> None:
    async with running_server(environment=KEYS, shutdown_grace=1) as server, scraping(server, tmp_path) as prometheus:

        async def is_up() -> bool:
            return 1.0 in (await prometheus.query("up")).values()

        async def is_pending() -> bool:
            return await prometheus.alert("InstanceDown") == "pending"

        await eventually(is_up, SCRAPED_WITHIN)
        await server.stop()
        await eventually(is_pending, within=10)
