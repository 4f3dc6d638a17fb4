"""What one instance writes about a door, every other one reads as it was meant, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling import door_words as words
from signalling.tokens import SOURCES, Grant

NOW = 1_800_000_000.25
WRITTEN = {
    "metadata": words.metadata("Tea"),
    "removal": words.removal(NOW, NOW + 60),
    "grant": words.change(Grant(frozenset(SOURCES)), NOW),
    "ended": words.end(NOW),
}
moments = st.floats(0.0, 2.0**40)
grants = st.builds(Grant, st.frozensets(st.sampled_from(SOURCES)), st.booleans(), st.booleans(), st.booleans())


@given(st.text(), moments, moments, grants)
def test_all_is_read_as_it_was_written(text: str, at: float, until: float, grant: Grant) -> None:
    assert words.read_metadata(words.metadata(text)) == text
    assert words.read_removal(words.removal(at, until)) == (at, until)
    assert words.read_change(words.change(grant, at)) == (grant, at)
    assert words.read_end(words.end(until)) == int(until)


@pytest.mark.parametrize("kind", WRITTEN)
def test_no_kind_is_taken_for_another(kind: str) -> None:
    read: Callable[[str], Any] = words.READERS[kind]
    read(WRITTEN[kind])
    for other, value in WRITTEN.items():
        if other != kind:
            with pytest.raises(ValueError, match=r"no |could not convert"):
                read(value)


def test_a_source_that_only_a_later_version_knows_is_left_out() -> None:
    assert words.read_change('[["camera", "hologram"], true, false, true, 5]') == (
        Grant(frozenset(["camera"]), subscribe=True, chat=False, admin=True),
        5,
    )
