"""One map of several writers: what is written takes the place of what was seen, and nothing grows for ever."""

from __future__ import annotations

from state.causal import MAX_WRITERS, CausalMap

TOPIC, LOCK = ("metadata", "topic"), ("flag", "locked")


def test_a_write_takes_the_place_of_all_that_was_seen() -> None:
    apart = CausalMap().put(TOPIC, "1", "ann").merge(CausalMap().put(TOPIC, "2", "ben"))
    assert [value for _, value in apart.values(TOPIC)] == ["1", "2"]
    assert [value for _, value in apart.put(TOPIC, "3", "cat").values(TOPIC)] == ["3"]


def test_a_write_is_later_than_all_that_was_seen() -> None:
    seen = CausalMap().put(TOPIC, "1", "ann", 41)
    ((dot, _),) = seen.put(LOCK, "x", "ben").values(LOCK)
    assert dot.counter == 43


def test_keys_come_in_the_order_in_which_they_were_written_last() -> None:
    bans = CausalMap().put(("ban", "x"), "1", "ann").put(("ban", "y"), "1", "ann").put(("ban", "x"), "2", "ann")
    assert list(bans.keys("ban")) == [("ban", "y"), ("ban", "x")]
    assert list(bans.keys("flag")) == []


def test_a_map_goes_on_under_the_name_it_began_with_and_a_new_one_under_a_new_name() -> None:
    first = CausalMap().put(TOPIC, "1", "ann")
    assert first.put(LOCK, "x", "ann").author == first.author
    assert CausalMap().put(TOPIC, "1", "ann", 1).author != first.author


def test_a_map_without_values_still_knows_what_was_taken_away() -> None:
    locked = CausalMap().put(LOCK, "x", "ann")
    unlocked = locked.remove(LOCK)
    assert not unlocked
    assert not locked.merge(unlocked)


def test_thousands_of_writers_who_came_and_went_are_not_remembered_for_ever() -> None:
    shared, floor = CausalMap().put(LOCK, "on", "first"), 1
    for number in range(2000):
        shared = shared.merge(CausalMap().put(TOPIC, str(number), f"node {number}", floor))
        shared = shared.put(TOPIC, str(number), f"node {number}", floor)
        floor = max(shared.context.values())
    assert len(shared.context) <= MAX_WRITERS + 2
    assert [value for _, value in shared.values(LOCK)] == ["on"]


def test_forgetting_a_writer_never_takes_anything_away_elsewhere() -> None:
    elsewhere = CausalMap().put(LOCK, "on", "old")
    here = elsewhere.remove(LOCK)
    for number in range(2 * MAX_WRITERS):
        here = here.merge(CausalMap().put(TOPIC, "x", f"node {number}", 10 + number)).remove(TOPIC)
    assert "on" in [value for _, value in here.merge(elsewhere).values(LOCK)]
    assert here.merge(elsewhere) == elsewhere.merge(here)
