"""The server takes as many file descriptors as it may have, and says so when these are few."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from signalling.file_descriptors import ENOUGH, FEW, raise_limit
from tests.support.server import running_server

Limits = Callable[[int, int], list[tuple[int, int]]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Pretend that these are the soft and the hard limit; what is set then is in the list."""

    def pretend(soft: int, hard: int) -> list[tuple[int, int]]:
        was_set: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, both: was_set.append(both))
        return was_set

    return pretend


@pytest.mark.parametrize("hard", [ENOUGH, 524_288, resource.RLIM_INFINITY])
def test_a_low_soft_limit_is_raised_to_what_is_enough(
    limits: Limits, hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    was_set = limits(1024, hard)
    assert raise_limit() == ENOUGH
    assert was_set == [(ENOUGH, hard)]
    assert not caplog.messages


@pytest.mark.parametrize("soft", [65_536, resource.RLIM_INFINITY])
def test_a_high_limit_is_left_alone(limits: Limits, soft: int, caplog: pytest.LogCaptureFixture) -> None:
    was_set = limits(soft, resource.RLIM_INFINITY)
    assert raise_limit() == soft
    assert not was_set
    assert not caplog.messages


def test_a_hard_limit_that_is_low_is_used_up_and_told(limits: Limits, caplog: pytest.LogCaptureFixture) -> None:
    was_set = limits(1024, FEW - 1)
    assert raise_limit() == FEW - 1
    assert was_set == [(FEW - 1, FEW - 1)]
    assert f"few file descriptors: {FEW - 1}" in caplog.text


def test_a_limit_that_cannot_be_raised_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 524_288))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 1024


async def test_a_server_that_was_started_with_a_low_soft_limit_raises_it() -> None:
    async with running_server(media_ip="127.0.0.1", files=(1024, 5000)) as server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (5000, 5000)
        assert "file descriptors" not in server.log
