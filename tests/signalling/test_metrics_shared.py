"""What a scrape tells of the sharing of rooms: circuits, modes, episodes, and what met after an outage."""

from __future__ import annotations

import pytest

from signalling import control, moderation
from state.model import RoomName
from state.modes import Mode
from tests.support.redis_server import redis_server
from tests.support.waiting import eventually, in_time

from .conftest import House, Open

STATE = 'circuit_breaker_state{{dependency="redis",service="auralink",state="{}"}}'
ACTIVATIONS = 'fallback_activations_total{fallback="redis-memory",service="auralink"}'
FAILURES = 'fallback_errors_total{fallback="redis-memory",service="auralink"}'
DURATION = 'degraded_mode_duration_seconds{service="auralink"}'
TOTAL = 'degraded_mode_seconds_total{service="auralink"}'
MODE = 'auralink_mode{{mode="{}"}}'
CHANGES = 'auralink_mode_changes_total{{mode="{}"}}'
CONFLICTS = 'auralink_reconcile_conflicts_total{{kind="{}"}}'


def states(metrics: dict[str, float]) -> dict[str, float]:
    return {state: metrics[STATE.format(state)] for state in ("closed", "open", "half_open")}


def modes(metrics: dict[str, float]) -> set[str]:
    """The modes that are said to be in force."""
    found = {mode.value: metrics[MODE.format(mode.value)] for mode in Mode}
    assert set(found.values()) == {0.0, 1.0}
    return {mode for mode, value in found.items() if value}


async def test_an_instance_that_is_alone_by_choice_has_no_circuit_and_is_not_degraded(house: Open) -> None:
    async with house() as home, home.http() as client:
        text = (await client.get("/metrics")).text
    assert 'auralink_mode{mode="single"} 1.0' in text
    assert "auralink_nodes 1.0" in text
    assert f"{DURATION} 0.0" in text
    assert f"{ACTIVATIONS} 0.0" in text
    assert "circuit_breaker_state{" not in text


async def test_an_outage_and_its_end_are_told_in_numbers(shared_house: Open) -> None:
    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        before = await home.metrics()
        assert states(before) == {"closed": 1.0, "open": 0.0, "half_open": 0.0}
        assert modes(before) == {"clustered"}
        assert (before[DURATION], before[ACTIVATIONS], before[FAILURES]) == (0.0, 0.0, 0.0)
        assert before['circuit_breaker_calls_total{dependency="redis",outcome="success"}'] > 0
        reconciled = before["auralink_reconcile_duration_seconds_count"]

        await redis.kill()
        await home.is_in(Mode.STANDALONE)
        away = await home.metrics()
        assert away[STATE.format("closed")] == 0.0
        assert sum(states(away).values()) == 1.0
        assert modes(away) == {"standalone"}
        assert away[ACTIVATIONS] == 1.0
        assert away[CHANGES.format("standalone")] == 1.0
        assert away['circuit_breaker_transitions_total{dependency="redis",to="open"}'] >= 1.0
        assert away['circuit_breaker_calls_total{dependency="redis",outcome="failure"}'] >= 3.0
        assert 0.0 < away[DURATION] == pytest.approx(away[TOTAL])

        async with home.member("ada"):
            await eventually(lambda: home.sharing.ours.lag(home.server.conference.at.now) > 0.2)
            assert (await home.metrics())["auralink_replication_lag_seconds"] > 0.0
            await redis.restart()
            await home.is_in(Mode.CLUSTERED)
        after = await home.metrics()
        assert states(after)["closed"] == 1.0
        assert modes(after) == {"clustered"}
        assert after[DURATION] == 0.0
        assert after[TOTAL] > away[TOTAL]
        assert (after[ACTIVATIONS], after[FAILURES]) == (1.0, 0.0)
        assert after["auralink_reconcile_duration_seconds_count"] == reconciled + 1.0
        assert after[CHANGES.format("reconciling")] == before[CHANGES.format("reconciling")] + 1.0


async def test_a_fault_of_ours_counts_as_the_fallback_s_only_while_it_stands_in(
    shared_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> object:
        raise ZeroDivisionError

    async def fails(home: House) -> None:
        async with home.socket() as caller:
            monkeypatch.setattr(control, "_received", broken)
            await caller.say(type="join", token=home.token("eve"))
            await caller.is_closed(1011)
            monkeypatch.undo()

    async with redis_server() as redis, shared_house(redis_url=redis.url) as home:
        await home.is_in(Mode.CLUSTERED)
        await fails(home)
        counted = await home.metrics()
        assert (counted["auralink_internal_errors_total"], counted[FAILURES]) == (1.0, 0.0)
        await redis.kill()
        await home.is_in(Mode.STANDALONE)
        await fails(home)
        counted = await home.metrics()
        assert (counted["auralink_internal_errors_total"], counted[FAILURES]) == (2.0, 1.0)


async def test_instances_redirects_and_what_was_changed_apart_are_counted(shared_house: Open) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url) as one,
        shared_house(redis_url=redis.url) as two,
    ):
        for home in (one, two):
            await home.is_in(Mode.CLUSTERED)
            await eventually(lambda home=home: len(home.sharing.members.nodes) == 1)  # type: ignore[misc]
            assert (await home.metrics())["auralink_nodes"] == 2.0
        async with one.member("ada", stay=True), two.member("ada", stay=True):
            await eventually(lambda: len(one.server.conference.sessions) + len(two.server.conference.sessions) == 1)
        counted = [(await home.metrics())[CONFLICTS.format("identity")] for home in (one, two)]
        assert sorted(counted) == [0.0, 1.0]
        # Of two instances a room that nobody is in has its home at one, and the other sends people there.
        for home in (one, two):
            async with home.socket() as caller:
                await caller.say(type="join", token=home.token("eve", room="elsewhere"))
                await in_time(caller.socket.recv(), 5.0)
        redirects = [(await home.metrics())["auralink_redirects_total"] for home in (one, two)]
        assert sorted(redirects) == [0.0, 1.0]


async def test_settings_that_were_written_apart_are_counted_when_they_meet(shared_house: Open) -> None:
    async with (
        redis_server() as redis,
        shared_house(redis_url=redis.url) as one,
        shared_house(redis_url=redis.url) as two,
    ):
        for home in (one, two):
            await home.is_in(Mode.CLUSTERED)
        await redis.kill()
        for home in (one, two):
            await home.is_in(Mode.STANDALONE)
        async with one.member("ada", stay=True), two.member("bob", stay=True):
            for home, title in ((one, "Monday"), (two, "Tuesday")):
                write(home, title)
            await redis.restart()
            for home in (one, two):
                await home.is_in(Mode.CLUSTERED)
            await eventually(lambda: title_at(one) == title_at(two), 10.0)
            for home in (one, two):
                assert (await home.metrics())[CONFLICTS.format("metadata")] == 1.0


def write(home: House, title: str) -> None:
    room = RoomName("room")
    home.server.act(lambda conference: moderation.set_metadata(conference, room, {"title": title}, "admin"))


def title_at(home: House) -> str:
    return home.server.conference.doors.rules(RoomName("room")).metadata["title"]
