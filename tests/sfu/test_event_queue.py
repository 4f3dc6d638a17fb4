"""However slowly events are read, no more of them wait than there are peers, rooms and subscriptions."""

from __future__ import annotations

from sfu.event_queue import EventQueue
from sfu.media_plane import (
    MediaEvent,
    NegotiationNeeded,
    PeerId,
    PeerStateChanged,
    SlotsChanged,
    SpeakersChanged,
    TrackId,
    TrackUnreceivable,
)

ANN, BOB = PeerId("ann"), PeerId("bob")


def read(queue: EventQueue) -> list[MediaEvent]:
    found: list[MediaEvent] = []
    while (event := queue.take()) is not None:
        found.append(event)
    return found


def test_what_was_said_of_a_connection_that_is_replaced_is_told_no_more() -> None:
    queue = EventQueue(list)
    kept: list[MediaEvent] = [PeerStateChanged(BOB, "closed", ""), SlotsChanged(ANN, {})]
    for event in (PeerStateChanged(ANN, "connected", ""), *kept, PeerStateChanged(ANN, "closed", "")):
        queue.put(event)
    queue.forget_states(ANN)
    assert read(queue) == kept


def test_events_come_in_the_order_they_happened() -> None:
    queue = EventQueue(list)
    events: list[MediaEvent] = [
        PeerStateChanged(ANN, "connecting", ""),
        PeerStateChanged(ANN, "connected", ""),
        SlotsChanged(BOB, {}),
        NegotiationNeeded(BOB, 1, 1),
        TrackUnreceivable(BOB, TrackId("t"), "AV1"),
    ]
    for event in events:
        queue.put(event)
    assert len(queue) == len(events)
    assert read(queue) == events
    assert read(queue) == []


def test_of_what_is_told_again_only_the_newest_waits() -> None:
    queue = EventQueue(list)
    for number in range(1000):
        queue.put(SlotsChanged(ANN, {str(number): None}))
        queue.put(SpeakersChanged("room", ((TrackId("t"), number / 1000),)))
        queue.put(PeerStateChanged(ANN, "connected" if number % 2 else "disconnected", ""))
    queue.put(SlotsChanged(BOB, {}))
    assert read(queue) == [
        PeerStateChanged(ANN, "disconnected", ""),
        SlotsChanged(ANN, {"999": None}),
        SpeakersChanged("room", ((TrackId("t"), 0.999),)),
        PeerStateChanged(ANN, "connected", ""),
        SlotsChanged(BOB, {}),
    ]


def test_who_reads_hears_of_each_arrival_until_the_queue_is_closed_and_what_waited_then_can_still_be_read() -> None:
    waiting: list[int] = []
    queue = EventQueue(lambda: waiting.append(len(queue)))
    event = SlotsChanged(ANN, {})
    queue.put(event)
    queue.put(event)
    assert waiting == [1, 1]
    queue.close()
    queue.put(SlotsChanged(BOB, {}))
    assert waiting == [1, 1]
    assert read(queue) == [event]
