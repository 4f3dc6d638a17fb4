"""The address of Redis that an operator gives is read, or refused with a sentence that tells no secret."""

from __future__ import annotations

import pytest

from state.redis_store import RedisStore
from state.redis_url import RedisAddress, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", RedisAddress("single", (("host", 6379),))),
        ("redis://host/", RedisAddress("single", (("host", 6379),))),
        ("redis://127.0.0.1:7000/3", RedisAddress("single", (("127.0.0.1", 7000),), db=3)),
        ("redis://host?db=4", RedisAddress("single", (("host", 6379),), db=4)),
        ("redis://[::1]:7000", RedisAddress("single", (("::1", 7000),))),
        ("redis://[::1]", RedisAddress("single", (("::1", 6379),))),
        ("rediss://host:7000", RedisAddress("single", (("host", 7000),), tls=True)),
        ("redis://:secret@host", RedisAddress("single", (("host", 6379),), password="secret")),
        ("redis://me:s%40%2F%3A@host", RedisAddress("single", (("host", 6379),), user="me", password="s@/:")),
        ("redis://me:s@cret@host", RedisAddress("single", (("host", 6379),), user="me", password="s@cret")),
        (
            "redis+sentinel://:secret@one,two:7000/calls?db=2",
            RedisAddress("sentinel", (("one", 26379), ("two", 7000)), service="calls", db=2, password="secret"),
        ),
        ("rediss+sentinel://one/calls", RedisAddress("sentinel", (("one", 26379),), tls=True, service="calls")),
        ("redis+cluster://one,[::2]:7000", RedisAddress("cluster", (("one", 6379), ("::2", 7000)))),
    ],
)
def test_an_address_is_read(url: str, address: RedisAddress) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://host",
        "redis:host",
        "redis://",
        "redis://:6379",
        "redis://:hunter2@",
        "redis://hunter2@host",
        "redis://:@host",
        "redis://host:hunter2",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:٣",
        "redis://:hunter2/and@host",
        "redis://:hunter2?x@host",
        "redis://host/hunter2",
        "redis://host/-1",
        "redis://host?timeout=hunter2",
        "redis://host?db=hunter2",
        "redis://one,two",
        "redis+sentinel://one,two",
        "redis+sentinel://one,,two/calls",
        "redis+cluster://one/1",
        "redis+cluster://one?db=1",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence_without_its_text(url: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$") as refused:
        RedisStore(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_an_address_that_is_printed_shows_no_password() -> None:
    assert "hunter2" not in repr(parse("redis://me:hunter2@host"))
