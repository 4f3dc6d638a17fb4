"""Fixtures that all tests may ask for.

A test module that uses a browser of the whole session shares its event loop:

    pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from .chromium import Chromium, running_chromium
from .clock import FakeClock
from .network import Network, private_network


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def network() -> Iterator[Network]:
    """A network namespace of this test alone, where even Firefox can call."""
    with private_network() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium_process() -> AsyncIterator[Chromium]:
    """One Chromium for all tests of this run."""
    async with running_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(chromium_process: Chromium) -> AsyncIterator[Chromium]:
    """Chromium without any page; those that the test opens are closed at its end."""
    yield chromium_process
    await chromium_process.close_pages()
