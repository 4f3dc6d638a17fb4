"""What others say of a room: nothing older after something newer, and nobody stays whom nobody speaks for."""

from __future__ import annotations

from state import wire
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.remote import RemoteRoom
from state.settings import RoomSettings
from state.slices import SETTINGS, Version, to_fields
from state.store import Listed
from state.wire import Changed

ROOM, ME, BEN = RoomName("room"), NodeId("me"), NodeId("ben")
OUTDATED, PATIENCE = 15.0, 7.0


def fields(*ids: str) -> dict[str, str | None]:
    """People, as they are written."""
    return {
        **to_fields({ParticipantId(id): Participant(ParticipantId(id), Identity(id), id) for id in ids}, RoomSettings())
    }


def told(seq: int, *ids: str, base: int | None = None) -> Changed:
    """A note of a change."""
    return Changed(ROOM, BEN, 1, seq, base, fields(*ids))


def lists(remote: RemoteRoom, now: float, seq: int | None = None, age: float = 0.0, *, keeps_up: bool = True) -> None:
    """The store lists a version of ben's slice, or none."""
    listing = {} if seq is None else {BEN: Listed(Version(1, seq), age)}
    remote.listed(listing, ME, now, OUTDATED, lambda _: keeps_up)


def fetches(remote: RemoteRoom, seq: int, *ids: str, settings: RoomSettings | None = None) -> bool:
    """A slice is read; whether it was news."""
    found = {name: text for name, text in fields(*ids).items() if text is not None}
    if settings is not None:
        found[SETTINGS] = wire.dump_settings(settings)
    return BEN in remote.fetched({BEN: (Version(1, seq), found)}, [BEN])[0]


def there(remote: RemoteRoom) -> set[str]:
    """Who is there through ben's instance."""
    return set(remote.slices[BEN].members) if BEN in remote.slices else set()


def nobody(_: NodeId) -> bool:
    """Nobody is gone."""
    return False


def test_a_change_is_taken_on_top_of_what_it_was_made_from_and_nowhere_else() -> None:
    remote = RemoteRoom(ROOM)
    assert remote.heard(told(1, "a")) == "applied"
    assert remote.heard(told(2, "b", base=1)) == "applied"
    assert remote.heard(told(2, "b", base=1)) == "stale"
    assert remote.heard(told(4, "d", base=3)) == "gap"
    assert there(remote) == {"a", "b"}
    assert remote.behind == {BEN}
    assert fetches(remote, 4, "a", "b", "c", "d")
    assert there(remote) == {"a", "b", "c", "d"}
    assert not remote.behind


def test_a_change_that_arrives_late_hides_no_newer_one() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    assert remote.heard(told(3, "c", base=2)) == "gap"
    assert remote.heard(told(2, "b", base=1)) == "applied"
    assert remote.behind == {BEN}
    assert fetches(remote, 3, "a", "b", "c")
    assert not remote.behind


def test_what_is_told_while_a_fetch_is_under_way_is_fetched_next_if_that_brings_less() -> None:
    remote = RemoteRoom(ROOM)
    assert remote.heard(told(2, "b", base=1)) == "gap"
    assert remote.ask() == (BEN,)
    assert remote.heard(told(3, "c", base=2)) == "gap"
    assert fetches(remote, 2, "a", "b")
    assert remote.ask() == (BEN,)
    assert fetches(remote, 3, "a", "b", "c")
    assert not remote.ask()


def test_what_the_store_does_not_have_is_asked_for_once_and_not_for_ever() -> None:
    remote = RemoteRoom(ROOM)
    assert remote.heard(told(9000, "ghost", base=8999)) == "gap"
    assert remote.ask() == (BEN,)
    assert fetches(remote, 1, "a")
    assert not remote.ask()


def test_an_older_slice_is_no_news() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(5, "a"))
    assert not fetches(remote, 4, "x")
    assert not fetches(remote, 5, "x")
    assert there(remote) == {"a"}


def test_a_list_tells_of_changes_whose_notes_were_lost() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    lists(remote, 0.0, 1)
    assert not remote.behind
    lists(remote, 5.0, 2)
    assert remote.behind == {BEN}


def test_who_is_not_listed_is_gone_after_a_while_and_not_before() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    lists(remote, 0.0)
    assert not remote.bury(nobody, PATIENCE - 0.1, PATIENCE)
    lists(remote, 5.0)
    assert remote.bury(nobody, PATIENCE, PATIENCE)
    assert not there(remote)
    assert not remote.is_doubtful


def test_who_is_listed_again_in_time_stays() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    lists(remote, 0.0)
    lists(remote, 5.0, 1)
    assert not remote.bury(nobody, 60.0, PATIENCE)


def test_a_slice_that_nobody_renews_is_as_good_as_none() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    lists(remote, 0.0, 1, OUTDATED + 1)
    assert remote.bury(nobody, PATIENCE, PATIENCE)


def test_an_instance_that_does_not_share_just_now_is_not_blamed_for_it() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    lists(remote, 0.0, keeps_up=False)
    assert not remote.bury(nobody, 60.0, PATIENCE)


def test_a_slice_that_is_found_outdated_tells_only_what_lasts() -> None:
    remote = RemoteRoom(ROOM)
    settings = RoomSettings().put_open("flag", "locked", "true", "ben").put_lasting("ban", "eve", "true", "ben")
    lists(remote, 0.0, 3, OUTDATED + 1)
    assert fetches(remote, 3, "a", settings=settings)
    assert not there(remote)
    assert remote.slices[BEN].settings.is_banned("eve")
    assert not remote.slices[BEN].settings.flag("locked")
    lists(remote, 1.0, 3, 0.1)  # it is kept up after all
    assert remote.behind == {BEN}
    assert fetches(remote, 3, "a", settings=settings)
    assert there(remote) == {"a"}


def test_a_slice_without_its_members_is_no_base_for_a_change() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(1, "a"))
    remote.bury(lambda _: True, 0.0, PATIENCE)
    assert remote.heard(told(2, "b", base=1)) == "gap"
    assert fetches(remote, 2, "a", "b")
    assert there(remote) == {"a", "b"}


def test_nothing_older_comes_back_of_somebody_who_is_gone() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(3, "a"))
    remote.bury(lambda _: True, 0.0, PATIENCE)
    assert remote.heard(told(2, "z")) == "stale"
    lists(remote, 1.0, 3, keeps_up=False)
    assert not remote.behind
    assert not fetches(remote, 2, "z")
    assert not there(remote)


def test_who_is_gone_is_forgotten_once_the_store_has_nothing_of_it() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(3, "a"))
    remote.bury(lambda _: True, 0.0, PATIENCE)
    lists(remote, 1.0, 3, keeps_up=False)
    assert BEN in remote.slices
    lists(remote, 2.0, keeps_up=False)
    assert BEN not in remote.slices


def renews(remote: RemoteRoom, now: float, seq: int, age: float) -> None:
    """The store, asked just now, lists a version of ben's slice that he renewed `age` seconds ago."""
    remote.doubt({BEN: Listed(Version(1, seq), age)}, now, now, PATIENCE)


def test_who_goes_on_to_renew_something_older_than_was_said_in_its_name_has_not_said_that() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(9000, "ghost"))
    renews(remote, 10.0, 3, 1.0)
    renews(remote, 16.0, 3, 2.0)
    assert not remote.behind
    assert not fetches(remote, 3, "a"), "not yet"
    renews(remote, 21.0, 3, 2.0)
    assert remote.behind == {BEN}
    assert fetches(remote, 3, "a")
    assert there(remote) == {"a"}
    assert remote.heard(told(4, "b", base=3)) == "applied"


def test_a_store_that_lost_the_last_change_is_not_believed_while_nobody_renews_what_it_has() -> None:
    remote = RemoteRoom(ROOM)
    remote.heard(told(5, "a"))
    for now in (10.0, 20.0, 60.0):
        renews(remote, now, 4, now - 9.0)
    assert not remote.behind
    assert not fetches(remote, 4)
    assert there(remote) == {"a"}


def test_a_slice_that_cannot_be_read_hides_no_other() -> None:
    remote = RemoteRoom(ROOM)
    good = {name: text for name, text in fields("a").items() if text is not None}
    found = {NodeId("bad"): (Version(1, 1), {"p:x": "junk"}), BEN: (Version(1, 1), good)}
    fresh, (why,) = remote.fetched(found, list(found))
    assert fresh == {BEN}
    assert why.startswith("a slice: ")
    assert there(remote) == {"a"}


def test_a_change_of_what_was_never_written_is_a_gap() -> None:
    remote = RemoteRoom(ROOM)
    assert remote.heard(Changed(ROOM, BEN, epoch=0, seq=1, base=0, fields=fields("bo"))) == "gap"
    assert remote.behind == {BEN}
    assert not remote.slices
