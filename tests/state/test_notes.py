"""Notes wait in their order and in bounds, and what is heard twice counts once."""

from __future__ import annotations

from state import wire
from state.model import NodeId, RoomName
from state.notes import Notes
from state.wire import Said

A, B = NodeId("a"), NodeId("b")


def said(id: str) -> Said:
    """Something that was said."""
    return Said(RoomName("room"), NodeId("me"), id, "{}")


def test_notes_leave_in_their_order() -> None:
    notes = Notes(10)
    notes.put([A, B], said("1"))
    notes.put([A], said("2"))
    assert [(node, wire.parse_note(text)) for node, text in notes.take(2)] == [(A, said("1")), (B, said("1"))]
    assert [(node, wire.parse_note(text)) for node, text in notes.take(2)] == [(A, said("2"))]
    assert not notes


def test_what_does_not_fit_is_counted_as_lost() -> None:
    notes = Notes(2)
    for number in range(5):
        notes.put([A], said(str(number)))
    assert (len(notes), notes.lost) == (2, 3)


def test_what_is_heard_twice_is_first_once() -> None:
    notes = Notes(2)
    assert notes.is_first(said("1"))
    assert not notes.is_first(said("1"))


def test_only_so_many_are_remembered() -> None:
    notes = Notes(2)
    assert all(notes.is_first(said(id)) for id in "123")
    assert not notes.is_first(said("3"))
    assert notes.is_first(said("1"))
