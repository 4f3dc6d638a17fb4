"""The account of a peer tells for how long nothing new came of a track, whichever connection it came by."""

from __future__ import annotations

from loadtest.deliveries import Deliveries

TAG = 7


def test_a_pause_is_the_time_between_two_new_packets_and_the_longest_is_kept() -> None:
    deliveries = Deliveries()
    for counter, now in enumerate([1.0, 1.02, 1.3, 1.32]):
        deliveries.take("here", TAG, counter, now)
    assert round(deliveries.pauses[TAG], 3) == 0.28


def test_what_came_by_another_connection_ends_a_pause_and_what_came_before_does_not() -> None:
    deliveries = Deliveries()
    deliveries.take("here", TAG, 0, 1.0)
    deliveries.take("there", TAG, 0, 1.4)  # nothing new
    deliveries.take("there", TAG, 1, 1.5)
    deliveries.take("here", TAG, 2, 1.6)
    assert (deliveries.pauses[TAG], list(deliveries.arrivals[TAG][:3])) == (0.5, [2, 1, 1])
    assert deliveries.carried == {("here", TAG): 2, ("there", TAG): 2}


def test_pauses_from_before_the_measurement_do_not_count() -> None:
    deliveries = Deliveries()
    for counter, now in enumerate([1.0, 9.0]):
        deliveries.take("here", TAG, counter, now)
    deliveries.settle()
    assert deliveries.pauses == {}
    deliveries.take("here", TAG, 2, 9.25)
    assert deliveries.pauses == {TAG: 0.25}
