"""An engine for tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sfu.engine import Engine

from .client import OPTIONS


@pytest.fixture
async def media() -> AsyncIterator[Engine]:
    async with Engine(OPTIONS) as engine:
        yield engine
