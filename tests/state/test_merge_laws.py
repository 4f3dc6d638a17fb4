"""Merging settings is a join: what holds comes out the same in whatever order, and however often, it is heard of.

The states are those that writers reach who write, take away, hear of some of each other, and now and then forget a
room because their last participant left. The same of what each says of who is there: test_view_laws.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import wire
from state.causal import CausalMap, Dot, Entry
from state.settings import OFF, ON, RoomSettings

WRITERS = ("ann", "ben", "cat")
LOCKED, TOPIC = ("flag", "locked"), ("metadata", "topic")


@dataclass
class Writer:
    """An instance: its settings of a room, and the largest counter it ever used."""

    name: str
    settings: RoomSettings = field(default_factory=RoomSettings)
    clock: int = 0
    used: list[Dot] = field(default_factory=list)

    def do(self, action: str, value: str, others: dict[str, Writer]) -> None:
        """One thing that an instance may do."""
        before = self.settings
        match action:
            case "flag":
                self._put("open", LOCKED, ON if value == "x" else OFF)
            case "unflag":
                self.settings = self.settings.remove_open(*LOCKED)
            case "metadata":
                self._put("open", TOPIC, f'"{value}"')
            case "ban":
                self._put("lasting", ("ban", value), "true")
            case "unban":
                self.settings = self.settings.remove_lasting("ban", value)
            case "leave":
                self.settings = self.settings.emptied()
            case "hear":
                heard = list(others.values())[ord(value) % len(others)].settings
                self.settings = before.merge(wire.parse_settings(wire.dump_settings(heard)))

    def _put(self, part: str, key: tuple[str, str], value: str) -> None:
        put = self.settings.put_open if part == "open" else self.settings.put_lasting
        known: CausalMap = getattr(self.settings, part)
        self.settings = put(*key, value, self.name, self.clock)
        fresh: CausalMap = getattr(self.settings, part)
        (dot,) = fresh.entries.keys() - known.entries.keys()
        self.used.append(dot)
        self.clock = max(self.clock, dot.counter)


actions = st.lists(
    st.tuples(
        st.sampled_from(WRITERS),
        st.sampled_from(("flag", "unflag", "metadata", "ban", "unban", "leave", "hear", "hear", "hear")),
        st.sampled_from("xyz"),
    ),
    max_size=40,
)


def play(history: list[tuple[str, str, str]]) -> dict[str, Writer]:
    """What became of the writers."""
    writers = {name: Writer(name) for name in WRITERS}
    for name, action, value in history:
        writers[name].do(action, value, writers)
    return writers


@given(actions)
def test_settings_merge_the_same_in_any_order_and_however_often(history: list[tuple[str, str, str]]) -> None:
    a, b, c = (writer.settings for writer in play(history).values())
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a
    assert a.merge(b).merge(b) == a.merge(b)


@given(actions)
def test_what_is_merged_knows_all_that_either_knew(history: list[tuple[str, str, str]]) -> None:
    a, b, _ = (writer.settings for writer in play(history).values())
    both = a.merge(b)
    for one in (a, b):
        assert both.merge(one) == both
        for part, whole in ((one.open, both.open), (one.lasting, both.lasting)):
            assert all(whole.context[writer] >= counter for writer, counter in part.context.items())


@given(actions)
def test_no_write_is_ever_made_under_the_dot_of_another(history: list[tuple[str, str, str]]) -> None:
    for writer in play(history).values():
        assert len(writer.used) == len(set(writer.used))


@given(actions)
def test_a_merge_takes_a_value_away_only_if_somebody_did_who_had_seen_it(history: list[tuple[str, str, str]]) -> None:
    writers = {name: Writer(name) for name in WRITERS}
    taken_away: set[tuple[str, Dot]] = set()
    for name, action, value in history:
        writer = writers[name]
        before = writer.settings
        heard = writers[WRITERS[ord(value) % len(WRITERS)]].settings
        writer.do(action, value, writers)
        for part in ("open", "lasting"):
            after = getattr(writer.settings, part).entries
            gone = getattr(before, part).entries.keys() - after.keys()
            if action == "hear":
                gone |= getattr(heard, part).entries.keys() - after.keys()
                assert {(part, dot) for dot in gone} <= taken_away
            elif action != "leave":
                taken_away |= {(part, dot) for dot in gone}


def test_who_forgot_a_room_and_writes_there_again_unlocks_nothing() -> None:
    ann, ben = Writer("ann"), Writer("ben")
    both = {"ann": ann, "ben": ben}
    ann.do("flag", "x", both)
    ben.settings = ben.settings.merge(ann.settings)
    ann.do("leave", "", both)
    ann.do("metadata", "y", both)
    assert ben.settings.merge(ann.settings).flag("locked")


def test_a_lock_outlives_an_unlock_that_had_not_seen_it_and_ends_with_one_that_had() -> None:
    ann, ben = Writer("ann"), Writer("ben")
    both = {"ann": ann, "ben": ben}
    ben.do("flag", "y", both)
    ann.do("flag", "x", both)
    met = ann.settings.merge(ben.settings)
    assert met.flag("locked")
    assert met.conflicts_by_kind() == {"flag": 1}
    relaxed = met.put_open(*LOCKED, OFF, "ann", ann.clock)
    assert not relaxed.flag("locked")
    assert not met.merge(relaxed).flag("locked")
    assert not ben.settings.merge(relaxed).flag("locked")


def test_a_ban_stands_although_somebody_lifted_another_one_at_the_same_time() -> None:
    ann, ben = Writer("ann"), Writer("ben")
    both = {"ann": ann, "ben": ben}
    ann.do("ban", "x", both)
    ben.settings = ben.settings.merge(ann.settings)
    ben.do("unban", "x", both)
    assert not ann.settings.merge(ben.settings).is_banned("x")
    ann.do("ban", "x", both)  # ann has not heard that it was lifted
    assert ann.settings.merge(ben.settings).is_banned("x")


def test_of_metadata_written_apart_the_larger_counter_counts_and_then_the_larger_writer() -> None:
    first = RoomSettings().put_open(*TOPIC, '"first"', "zoe", 0)
    later = RoomSettings().put_open(*TOPIC, '"later"', "ann", 7)
    assert first.merge(later).metadata() == later.merge(first).metadata() == {"topic": '"later"'}
    equal = RoomSettings().put_open(*TOPIC, '"equal"', "bob", 7)
    assert later.merge(equal).metadata() == equal.merge(later).metadata() == {"topic": '"equal"'}


def test_an_idle_end_says_nothing_to_others() -> None:
    locked = RoomSettings().put_open(*LOCKED, ON, "ann").put_lasting("ban", "x", "true", "ann")
    assert locked.merge(locked.emptied()) == locked
    assert locked.emptied().is_banned("x")


def test_of_two_incarnations_that_met_the_smaller_one_stays() -> None:
    one, other = RoomSettings(incarnation="b"), RoomSettings(incarnation="a")
    assert one.merge(other).incarnation == other.merge(one).incarnation == "a"
    assert one.merge(RoomSettings()).incarnation == "b"


# ------------------------------------------------------------------------------------------------------------ junk

dots = st.builds(Dot, st.integers(0, 5), st.sampled_from(WRITERS))
entries = st.builds(Entry, st.tuples(st.sampled_from(("flag", "ban", "?")), st.text(max_size=3)), st.text(max_size=3))
maps = st.builds(
    CausalMap,
    st.dictionaries(dots, entries, max_size=5),
    st.dictionaries(st.sampled_from(WRITERS), st.integers(0, 9), max_size=3),
)
junk = st.builds(RoomSettings, maps, maps, st.text(max_size=3))


@given(junk, junk)
def test_what_no_honest_instance_writes_is_merged_without_an_error(one: RoomSettings, other: RoomSettings) -> None:
    merged = one.merge(other)
    assert merged == other.merge(one)
    merged.metadata(), merged.flag("locked"), list(merged.banned()), merged.conflicts_by_kind()
    wire.parse_settings(wire.dump_settings(merged))


@settings(max_examples=20)
@given(actions)
def test_settings_are_the_same_after_they_were_written_down(history: list[tuple[str, str, str]]) -> None:
    for writer in play(history).values():
        assert wire.parse_settings(wire.dump_settings(writer.settings)) == writer.settings


@pytest.mark.parametrize("part", ["open", "lasting"])
def test_the_name_of_a_copy_is_not_written_down(part: str) -> None:
    written = RoomSettings().put_open(*LOCKED, ON, "ann").put_lasting("ban", "x", "true", "ann")
    assert getattr(written, part).author.startswith("ann")
    assert getattr(wire.parse_settings(wire.dump_settings(written)), part).author == ""
    assert replace(written, incarnation="x").open.author == written.open.author
