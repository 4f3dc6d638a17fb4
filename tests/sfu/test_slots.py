"""Who sits in which slot: publishers' tracks in pairs, and nobody moved who is wanted."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.media_plane import Kind, TrackId
from sfu.slots import SlotPool, Wish, sections_for

from .hostile import FEW


def pool_of(audio: int = 0, video: int = 0, most: int = 32) -> SlotPool[str]:
    pool: SlotPool[str] = SlotPool({"audio": most, "video": most}, {})
    for kind, count in (("audio", audio), ("video", video)):
        for number in range(count):
            assert pool.add(kind, f"{kind[0]}{number}", f"slot {kind[0]}{number}") == number  # type: ignore[arg-type]
    return pool


def want(pool: SlotPool[str], *tracks: str) -> None:
    """Wishes named like `ann/video`."""
    for track in tracks:
        owner, kind = track.split("/")
        wishes_of(pool)[TrackId(track)] = Wish("audio" if kind.startswith("audio") else "video", owner)


def wishes_of(pool: SlotPool[str]) -> dict[TrackId, Wish]:
    """As the receiver has them, which the pool only reads."""
    return cast(dict[TrackId, Wish], pool.wishes)


def drop(pool: SlotPool[str], track: str) -> str | None:
    """The receiver wants `track` no longer. Returns the slot it sat in."""
    wishes_of(pool).pop(TrackId(track), None)
    return pool.drop(TrackId(track))


@pytest.mark.parametrize(
    ("tracks", "sections"), [(0, 2), (1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 12), (40, 32)]
)
def test_sections_are_asked_for_in_blocks(tracks: int, sections: int) -> None:
    assert sections_for(tracks, 32) == sections


def test_sections_never_exceed_the_bound() -> None:
    assert [sections_for(tracks, 1) for tracks in (0, 1, 2, 5)] == [1, 1, 1, 1]
    assert [sections_for(tracks, 0) for tracks in (0, 5)] == [0, 0]


def test_a_publishers_microphone_and_camera_sit_in_one_pair() -> None:
    pool = pool_of(3, 3)
    want(pool, "ann/audio", "bob/audio", "bob/video", "ann/video")
    pool.fill()
    layout = pool.layout()
    assert {layout["a0"], layout["v0"]} == {"ann/audio", "ann/video"}
    assert {layout["a1"], layout["v1"]} == {"bob/audio", "bob/video"}


def test_a_lone_track_prefers_a_pair_that_is_empty() -> None:
    pool = pool_of(2, 2)
    want(pool, "ann/audio")
    pool.fill()
    want(pool, "bob/video")
    pool.fill()
    assert pool.layout() == {"a0": "ann/audio", "a1": None, "v0": None, "v1": "bob/video"}


def test_where_no_pair_is_free_any_slot_serves() -> None:
    pool = pool_of(1, 1)
    want(pool, "ann/audio", "bob/video")
    pool.fill()
    assert pool.layout() == {"a0": "ann/audio", "v0": "bob/video"}


def test_the_oldest_wish_is_seated_first_and_the_next_when_a_seat_is_free() -> None:
    pool = pool_of(video=1)
    want(pool, "ann/video", "bob/video", "cat/video")
    assert pool.fill() == [("ann/video", "slot v0")]
    assert drop(pool, "ann/video") == "slot v0"
    assert pool.fill() == [("bob/video", "slot v0")]
    assert drop(pool, "cat/video") is None


def test_what_is_refused_takes_no_slot_until_it_is_reconsidered() -> None:
    pool = pool_of(video=1)
    want(pool, "ann/video")
    pool.fill()
    assert pool.refuse(TrackId("ann/video"))
    assert (pool.fill(), pool.layout(), pool.lacks_slots()) == ([], {"v0": None}, False)
    pool.reconsider()
    assert pool.fill() == [("ann/video", "slot v0")]
    assert not pool.refuse(TrackId("ann/video"))  # that is no news


def test_lacking_slots_are_told_until_the_bound_is_reached() -> None:
    pool = pool_of(video=2, most=3)
    want(pool, "ann/video", "bob/video")
    assert not pool.lacks_slots()
    want(pool, "cat/video", "dan/video")
    assert (pool.lacks_slots(), pool.needed("video"), pool.needed("audio")) == (True, 3, 2)
    pool.add("video", "v2", "slot v2")
    assert not pool.lacks_slots()
    assert len(pool.fill()) == 3


def test_sections_that_are_there_are_counted_even_if_they_are_too_many() -> None:
    assert pool_of(audio=7).needed("audio") == 7


def test_slots_and_tracks_can_be_looked_up() -> None:
    pool = pool_of(video=1)
    want(pool, "ann/video", "bob/video")
    pool.fill()
    slot = pool.slot_of(TrackId("ann/video"))
    assert slot == "slot v0"
    assert pool.track_in(slot) == "ann/video"
    assert (pool.track_in("other"), pool.slot_of(TrackId("bob/video"))) == (None, None)


_TRACKS = [f"{owner}/{kind}" for owner in "abcdef" for kind in ("audio", "video", "video2")]
_STEPS = st.lists(
    st.tuples(st.sampled_from(["want", "drop", "add audio", "add video", "refuse", "reconsider"]), st.integers(0, 17)),
    max_size=60,
)


@FEW
@given(_STEPS)
def test_no_track_sits_twice_and_none_moves_while_it_is_wanted(steps: list[tuple[str, int]]) -> None:
    pool = pool_of(most=4)
    before: dict[str, TrackId | None] = {}
    for step, at in steps:
        track = TrackId(_TRACKS[at])
        gone: set[str] = set()
        match step.split():
            case ["want"]:
                want(pool, track)
            case ["drop"]:
                drop(pool, track)
                gone.add(track)
            case ["refuse"]:
                pool.refuse(track)
                gone.add(track)
            case ["reconsider"]:
                pool.reconsider()
            case ["add", kind]:
                checked: Kind = "audio" if kind == "audio" else "video"
                if pool.count(checked) < 4:
                    number = pool.count(checked)
                    pool.add(checked, f"{kind[0]}{number}", f"slot {kind[0]}{number}")
        pool.fill()
        layout = pool.layout()
        seated = [found for found in layout.values() if found is not None]
        assert len(seated) == len(set(seated))
        assert all(found in pool.wishes for found in seated)
        assert all(("audio" in found) == mid.startswith("a") for mid, found in layout.items() if found)
        assert all(layout[mid] == kept for mid, kept in before.items() if kept is not None and kept not in gone)
        before = dict(layout)
