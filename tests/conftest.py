"""Rules and fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.fixtures", "tests.support.deadline"]

UNIT_TESTS = [Path(__file__).parent / name for name in ("signalling", "sfu", "state", "turn_probe", "loadtest")]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let asyncio look closely in unit tests; not where real servers and browsers are timed."""
    if any(folder in item.path.parents for folder in UNIT_TESTS):
        os.environ["PYTHONASYNCIODEBUG"] = "1"
    else:
        os.environ.pop("PYTHONASYNCIODEBUG", None)
