"""A real Redis and a store on it: for one test alone, or, where a test empties it itself, for all of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from state.redis_store import RedisStore
from tests.support.redis_server import RedisServer, redis_server
from tests.support.stores import redis_store


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RedisServer]:
    """A server of this test alone."""
    async with redis_server() as running:
        yield running


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on that server."""
    async with redis_store(server.url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_server() -> AsyncIterator[RedisServer]:
    """One server for all tests of a module."""
    async with redis_server() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_store(lasting_server: RedisServer) -> AsyncIterator[RedisStore]:
    """One store for them, as patient as many examples in a row need."""
    async with redis_store(lasting_server.url, timeout=10.0, prober_timeout=10.0, connect_timeout=5.0) as made:
        yield made
