"""What none of us wrote is counted each time, and told once in a while."""

from __future__ import annotations

from state.junk import BETWEEN, Junk
from state.news import JunkFound


def test_all_of_it_is_counted_and_the_last_reason_is_told_once_a_minute() -> None:
    counts, told = {"unreadable": 0}, list[JunkFound]()
    junk = Junk(counts, told.append)
    junk.found([], 0.0)
    assert told == []
    junk.found(["one", "another"], 1.0)
    junk.found(["a third"], 2.0)
    junk.found([], 1.0 + BETWEEN)
    junk.found(["a fourth"], 1.0 + BETWEEN)
    assert counts == {"unreadable": 4}
    assert told == [JunkFound("another", 2), JunkFound("a fourth", 2)]
