"""What an instance says of a room reaches the store in few writes, whatever became of those before."""

from __future__ import annotations

import pytest

from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.ours import Ours
from state.own import MAX_SEQ, MAX_TOLD, OwnSlice
from state.settings import RoomSettings
from state.slices import SETTINGS, Version
from state.store import Listed, Status, WriteSlice, Written
from state.timing import Timing
from state.wire import Changed

ROOM, ME = RoomName("room"), NodeId("me")
TIMING = Timing()


def member(id: str, name: str = "") -> Participant:
    """Somebody."""
    return Participant(ParticipantId(id), Identity(id), name or id)


def comes(own: OwnSlice, *ids: str, now: float = 0.0) -> None:
    """People join."""
    own.change({ParticipantId(id): member(id) for id in ids}, now)


def goes(own: OwnSlice, id: str, now: float = 0.0) -> None:
    """Somebody leaves."""
    own.change({ParticipantId(id): None}, now)


def write(own: OwnSlice, epoch: int = 1) -> WriteSlice:
    """The next write."""
    return own.next_write(ME, epoch, 60.0, 0.0)


def reply(own: OwnSlice, status: Status = "applied", version: Version | None = None) -> Changed | None:
    """The store's answer to it."""
    listed = version or own.version
    return own.answered(Written(status, {ME: Listed(listed, 0.0)}), 0.0)


def test_the_first_write_is_the_whole_slice_and_later_ones_are_what_changed() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a", "b")
    first = write(own)
    assert (first.base, first.version, set(first.changes)) == (None, (1, 1), {"p:a", "p:b"})
    note = reply(own)
    assert note is not None
    assert note.base is None
    comes(own, "c")
    goes(own, "a")
    second = write(own)
    assert (second.base, second.version) == ((1, 1), (1, 2))
    assert second.changes["p:a"] is None
    assert set(second.changes) == {"p:a", "p:c"}
    assert reply(own) == Changed(ROOM, ME, 1, 2, 1, dict(second.changes))
    assert own.is_stored


def test_what_changes_while_a_write_is_under_way_goes_into_the_next() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    comes(own, "b", "c")
    reply(own)
    assert not own.is_stored
    assert set(write(own).changes) == {"p:b", "p:c"}


def test_a_renewal_changes_nothing_and_is_told_to_nobody() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    reply(own)
    renewal = write(own)
    assert renewal.base == renewal.version == (1, 1)
    assert not renewal.changes
    assert own.is_stored, "nothing is missing in the store while a slice is renewed"
    assert reply(own) is None


def test_after_a_write_that_nobody_knows_of_the_whole_is_written_as_a_newer_version() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    reply(own)
    comes(own, "b")
    write(own)
    own.failed(1.0, 1.5)
    again = write(own)
    assert (again.base, again.version, set(again.changes)) == (None, (1, 3), {"p:a", "p:b"})


def test_an_answer_of_before_the_store_lost_all_does_not_count() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    own.distrust(1.0, 1.5)
    reply(own)
    assert not own.is_stored
    assert write(own).base is None


def test_a_store_that_knows_a_later_version_of_ours_is_overwritten_by_one_later_still() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    assert reply(own, "stale", Version(1, 8)) is None
    assert write(own).version == (1, 9)


def test_a_version_that_we_cannot_have_written_is_not_counted_on_from() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    reply(own, "stale", Version(1, MAX_SEQ))
    assert write(own).version == (1, 2)


def test_a_whole_slice_that_the_store_refuses_as_older_than_one_it_does_not_list_is_overtaken() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")

    def overtaken(status: Status, listed: Version | None = None) -> bool:
        return own.is_overtaken(Written(status, {} if listed is None else {ME: Listed(listed, 0.0)}))

    assert not overtaken("stale"), "nothing was written"
    write(own)
    assert overtaken("stale")
    assert overtaken("stale", Version(1, 8))
    assert not overtaken("stale", own.version), "it landed twice"
    assert not overtaken("applied", own.version)
    reply(own)
    comes(own, "b")
    write(own)
    assert not overtaken("stale", Version(1, 8)), "the whole slice comes next"


def test_a_repeated_write_that_the_store_has_already_is_as_good_as_applied() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    write(own)
    assert reply(own, "stale") is not None
    assert own.is_stored


def test_a_change_too_large_to_be_told_is_told_of() -> None:
    own = OwnSlice(ROOM)
    comes(own, *(f"p{number}" for number in range(MAX_TOLD // 20)))
    write(own)
    note = reply(own)
    assert note is not None
    assert (note.fields, note.seq) == (None, 1)


def test_settings_are_written_only_if_they_changed() -> None:
    own = OwnSlice(ROOM)
    comes(own, "a")
    own.set_settings(RoomSettings().put_lasting("ban", "eve", "true", "me"), 0.0)
    assert SETTINGS in write(own).changes
    reply(own)
    comes(own, "b")
    assert set(write(own).changes) == {"p:b"}


def test_that_a_ban_was_lifted_is_written_although_nothing_holds_any_more() -> None:
    own = OwnSlice(ROOM)
    own.set_settings(RoomSettings().put_lasting("ban", "eve", "true", "me"), 0.0)
    write(own)
    reply(own)
    own.set_settings(own.settings.remove_lasting("ban", "eve"), 0.0)
    assert write(own).changes[SETTINGS] is not None
    reply(own)
    assert own.is_empty
    assert own.is_stored


# ------------------------------------------------------------------------------------------------ slices of all rooms


def settle(ours: Ours, own: OwnSlice, now: float, epoch: int = 1) -> bool:
    """Write a slice and have it stored; whether that was the last time."""
    assert ours.take_due(now) is own
    write(own, epoch)
    reply(own)
    return ours.settled(own, now)


def test_a_room_that_was_left_is_forgotten_once_the_store_knows() -> None:
    ours = Ours(TIMING)
    own = ours.slice(ROOM, 0.0)
    comes(own, "a")
    ours.schedule(own, 0.0)
    assert not settle(ours, own, 0.0)
    goes(own, "a")
    ours.schedule(own, 1.0)
    assert not ours.are_stored
    assert settle(ours, own, 1.0)
    assert ROOM not in ours
    assert ours.are_stored


def test_who_comes_back_to_a_room_goes_on_above_the_versions_it_had() -> None:
    ours = Ours(TIMING)
    own = ours.slice(ROOM, 0.0)
    for now in (0.0, 1.0):
        comes(own, f"p{now}")
        ours.schedule(own, now)
        settle(ours, own, now)
    for id in list(own.members):
        goes(own, id)
    ours.schedule(own, 2.0)
    assert settle(ours, own, 2.0)
    last = own.version
    again = ours.slice(ROOM, 100.0)
    comes(again, "b")
    assert write(again).version > last


def test_a_slice_is_renewed_in_time_and_one_of_bans_alone_seldom() -> None:
    ours = Ours(TIMING)
    own = ours.slice(ROOM, 0.0)
    comes(own, "a")
    ours.schedule(own, 0.0)
    settle(ours, own, 0.0)
    assert ours.take_due(TIMING.renew - 0.1) is None
    assert settle(ours, own, TIMING.renew) is False
    own.set_settings(RoomSettings().put_lasting("ban", "eve", "true", "me"), 6.0)
    goes(own, "a", 6.0)
    ours.schedule(own, 6.0)
    assert ours.life(own) == TIMING.lasting_life
    settle(ours, own, 6.0)
    assert ours.take_due(TIMING.renew_empty) is None
    assert ours.take_due(6.0 + TIMING.renew_empty) is own


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.99])
def test_all_is_written_anew_within_a_moment(chance: float) -> None:
    ours = Ours(TIMING)
    for number in range(3):
        own = ours.slice(RoomName(str(number)), 0.0)
        comes(own, "a")
        ours.schedule(own, 0.0)
        settle(ours, own, 0.0)
    assert ours.lag(9.0) == 0.0
    ours.begin_anew(10.0, lambda: chance)
    assert ours.lag(10.5) == 0.5
    due = 10.0 + chance * TIMING.spread
    while (found := ours.take_due(due)) is not None:
        assert write(found, 2).base is None
        reply(found)
        ours.settled(found, due)
    assert ours.are_stored


def test_an_empty_slice_is_kept_and_renewed_while_the_room_is_watched() -> None:
    ours = Ours(TIMING)
    own = ours.slice(ROOM, 0.0)
    own.watched_until = 1.5 * TIMING.renew
    ours.schedule(own, 0.0)
    assert settle(ours, own, 0.0) is False
    assert ours.take_due(TIMING.renew - 0.1) is None
    assert settle(ours, own, TIMING.renew) is False
    assert settle(ours, own, 2 * TIMING.renew) is True
    assert ROOM not in ours
