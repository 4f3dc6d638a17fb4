"""Who is let in as an operator, and how often."""

from __future__ import annotations

import pytest

from signalling.limits import Rate

from .conftest import Open
from .test_operators import ADMIN_KEYS, THEIRS, WITH_KEYS, bearer


async def test_an_admin_token_opens_the_same_on_the_main_port(house: Open) -> None:
    async with house(**WITH_KEYS, admin_keys=ADMIN_KEYS) as home, home.http() as client:
        for path in THEIRS:
            assert (await client.get(path, headers=bearer())).status_code == 200
            for headers, code in (
                ({}, "token_missing"),
                ({"Authorization": "Basic b3BzOm9wcw=="}, "token_missing"),
                ({"Authorization": "Bearer nonsense"}, "token_invalid"),
                ({"Authorization": f"Bearer {home.token('ada')}"}, "token_invalid"),
                (bearer(lifetime=-60.0), "token_expired"),
            ):
                refused = await client.get(path, headers=headers)
                assert (refused.status_code, refused.json()["code"]) == (401, code)
                assert refused.headers["WWW-Authenticate"] == "Bearer"


async def test_guessing_admin_tokens_is_limited_by_address_and_the_right_one_still_opens(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalling.gates.FAILURES", Rate(per_second=0.001, burst=3.0))
    async with house(**WITH_KEYS, admin_keys=ADMIN_KEYS) as home, home.http() as client:
        found = [(await client.get("/metrics", headers={"Authorization": "Bearer x"})).status_code for _ in range(4)]
        assert found == [401, 401, 401, 429]
        metrics = await client.get("/metrics", headers=bearer())
        assert metrics.status_code == 200
        assert 'auralink_limited_total{limit="admin_failures_per_address"} 1.0' in metrics.text


async def test_requests_of_one_key_are_limited(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalling.gates.REQUESTS", Rate(per_second=0.001, burst=3.0))
    async with house(**WITH_KEYS, admin_keys=ADMIN_KEYS) as home, home.http() as client:
        found = [(await client.get("/metrics", headers=bearer())).status_code for _ in range(4)]
        assert found == [200, 200, 200, 429]
        assert (await client.get("/metrics", headers=bearer(name="prometheus"))).status_code == 200
