"""How an instance says how it is."""

from __future__ import annotations

import pytest

from signalling.health import detailed, ready


@pytest.mark.parametrize(
    ("lag", "media", "status"),
    [
        (0.001, {"media_peers": 2.0, "media_gso_enabled": 1.0}, "pass"),
        (0.3, {}, "warn"),
        (0.001, None, "fail"),
        (0.3, None, "fail"),
    ],
)
def test_the_worst_part_decides(lag: float, media: dict[str, float] | None, status: str) -> None:
    found = detailed(version="1.2.3", uptime=10.0, lag=lag, counts={"rooms": 1}, media=media)
    assert found["status"] == status


def test_everything_that_is_known_is_told() -> None:
    media = {"media_peers": 2.0, "media_gso_enabled": 1.0}
    found = detailed(version="1.2.3", uptime=10.04, lag=0.001, counts={"rooms": 1, "participants": 3}, media=media)
    assert (found["version"], found["releaseId"]) == ("1", "1.2.3")
    values = {name: check[0]["observedValue"] for name, check in found["checks"].items()}
    assert values == {
        "uptime": 10.0,
        "signalling:eventLoopLag": 0.001,
        "signalling:rooms": 1,
        "signalling:participants": 3,
        "media:answers": True,
        "media:peers": 2,
        "media:gso": True,
    }


def test_what_is_away_is_told_and_is_a_warning() -> None:
    check = {"componentType": "datastore", "observedValue": "open", "observedUnit": "state", "status": "warn"}
    degraded = [{"dependency": "redis", "mode": "standalone"}]
    found = detailed(
        version="1.2.3", uptime=1.0, lag=0.0, counts={}, media={}, dependencies={"r": [check]}, degraded=degraded
    )
    assert (found["status"], found["degraded"], found["checks"]["r"]) == ("warn", degraded, [check])


@pytest.mark.parametrize(
    ("causes", "notes", "status"),
    [([], [], "pass"), ([], ["redis: standalone"], "warn"), (["it is starting"], ["redis: standalone"], "fail")],
)
def test_only_causes_of_its_own_make_an_instance_unready(causes: list[str], notes: list[str], status: str) -> None:
    found = ready(causes, notes)
    assert found["status"] == status
    assert all(cause in found["output"] for cause in causes)
    assert found.get("notes", []) == notes
