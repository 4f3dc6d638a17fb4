"""The table of a session's life, and what a socket may say at which time."""

from __future__ import annotations

from signalling import messages as m
from signalling.session import ACCEPTS, TRANSITIONS, Phase, Standing, Step


def test_nothing_leads_out_of_the_end() -> None:
    assert not [way for way in TRANSITIONS if way[0] is Phase.ENDED]


def test_every_phase_can_be_reached_and_left_for_the_end() -> None:
    assert set(TRANSITIONS.values()) == set(Phase)
    for phase in (Phase.CONNECTED, Phase.DETACHED):
        assert TRANSITIONS[phase, Step.LEFT] is Phase.ENDED


def test_every_message_has_its_place_and_only_one() -> None:
    stranger, member = ACCEPTS[Standing.STRANGER], ACCEPTS[Standing.MEMBER]
    assert stranger | member == set(m.ClientMessage.__args__)  # type: ignore[attr-defined]
    assert not stranger & member
    assert not ACCEPTS[Standing.DISMISSED]
