"""What holds in a room: the most restrictive of what was decided apart, and nothing of it when the room is over."""

from __future__ import annotations

from state.settings import OFF, ON, RoomSettings

EMPTY = RoomSettings()


def test_a_flag_is_off_unless_somebody_set_it() -> None:
    assert not EMPTY.flag("locked")
    on = EMPTY.put_open("flag", "locked", ON, "ann")
    assert on.flag("locked")
    assert not on.flag("waiting_room")
    assert not on.put_open("flag", "locked", OFF, "ann").flag("locked")


def test_metadata_is_kept_field_by_field() -> None:
    known = EMPTY.put_open("metadata", "topic", "1", "ann").put_open("metadata", "color", "2", "ben")
    assert known.metadata() == {"topic": "1", "color": "2"}
    assert known.remove_open("metadata", "topic").metadata() == {"color": "2"}


def test_a_grant_is_what_was_decided_last() -> None:
    assert EMPTY.grant("ann") is None
    assert EMPTY.put_open("grant", "ann", "1", "x").put_open("grant", "ann", "2", "y").grant("ann") == "2"


def test_bans_are_listed_oldest_first() -> None:
    known = EMPTY.put_lasting("ban", "zoe", "1", "ann").put_lasting("ban", "eve", "1", "ann")
    assert list(known.banned()) == ["zoe", "eve"]
    assert known.is_banned("eve")
    assert not known.remove_lasting("ban", "eve").is_banned("eve")


def test_removals_that_were_decided_apart_all_stand() -> None:
    one, other = (EMPTY.put_lasting("removal", "eve", value, value) for value in ("1", "2"))
    assert one.merge(other).removals("eve") == ["1", "2"]


def test_an_incarnation_that_was_ended_stays_ended_and_the_next_one_is_not() -> None:
    known = EMPTY.put_lasting("ended", "first", "true", "ann")
    assert known.has_ended("first")
    assert not known.has_ended("second")
    assert not known.has_ended("")


def test_when_a_room_is_over_only_what_lasts_is_left() -> None:
    known = RoomSettings(incarnation="i").put_open("flag", "locked", ON, "ann").put_lasting("ban", "eve", "1", "ann")
    left = known.emptied()
    assert (left.flag("locked"), left.is_banned("eve"), left.incarnation) == (False, True, "")
    assert not left.open.context, "or what others hold would look taken away"


def test_nothing_holds_in_settings_of_which_all_was_taken_away() -> None:
    known = EMPTY.put_lasting("ban", "eve", "1", "ann")
    assert known
    assert not known.remove_lasting("ban", "eve")
    assert known.remove_lasting("ban", "eve") != EMPTY, "that it was lifted is known"
