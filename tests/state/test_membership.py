"""Who lives: by leases, with patience for those whom the store itself forgot."""

from __future__ import annotations

from state.membership import ANNOUNCED_BY, PATIENCE, UNANNOUNCED, Membership
from state.model import NodeId
from state.wire import NodeRecord

ME, BEN = NodeId("me"), NodeId("ben")
AFTER_RETURN = 30.0


def members(now: float = 0.0) -> Membership:
    """We, and ben."""
    known = Membership(ME, AFTER_RETURN)
    known.announced([record(ME), record(BEN)], now)
    return known


def record(node: NodeId, nonce: str = "n", *, shares: bool = True) -> NodeRecord:
    """What an instance says of itself."""
    return NodeRecord(node=node, nonce=nonce, shares=shares)


def test_we_are_none_of_the_others() -> None:
    known = members()
    assert set(known.nodes) == {BEN}
    assert known.is_live(BEN)


def test_whose_lease_ran_out_is_missing_first_and_then_gone() -> None:
    known = members()
    assert known.announced([], 15.0)
    assert not known.is_live(BEN)
    assert BEN in known
    assert known.gone(15.0 + PATIENCE - 0.1) == []
    assert known.gone(15.0 + PATIENCE) == [BEN]
    assert BEN not in known


def test_who_announces_itself_again_in_time_stays() -> None:
    known = members()
    known.announced([], 15.0)
    known.announced([record(BEN)], 16.0)
    assert known.gone(60.0) == []


def test_after_the_store_came_back_those_who_are_missing_have_twice_the_lease() -> None:
    known = members()
    known.returned(100.0)
    known.announced([], 100.1)
    assert known.gone(100.0 + AFTER_RETURN) == []
    assert known.gone(100.1 + AFTER_RETURN) == [BEN]


def test_who_was_missing_already_when_the_store_went_away_has_as_long() -> None:
    known = members()
    known.announced([], 15.0)
    known.returned(16.0)
    assert known.gone(16.0 + AFTER_RETURN - 0.1) == []


def test_of_whom_a_slice_was_read_must_announce_itself_soon() -> None:
    known = Membership(ME, AFTER_RETURN)
    known.heard_of(BEN, 50.0)
    assert not known.is_live(BEN)
    assert known.gone(50.0 + UNANNOUNCED - 0.1) == []
    assert known.gone(50.0 + UNANNOUNCED) == [BEN]


def test_who_does_not_share_lives_and_does_not_keep_up() -> None:
    known = members()
    assert known.keeps_up(BEN)
    known.announced([record(BEN, shares=False)], 1.0)
    assert known.is_live(BEN)
    assert not known.keeps_up(BEN)


def test_another_process_under_a_known_id_is_noticed() -> None:
    known = members()
    known.announced([record(BEN)], 1.0)
    assert not known.replaced
    known.announced([record(BEN, "another")], 2.0)
    assert known.replaced == {BEN}


def test_nobody_is_in_doubt_while_a_store_that_forgot_everything_is_filled_again() -> None:
    known = members()
    known.returned(10.0)
    known.announced([record(ME)], 10.0)
    assert known.is_heard(BEN)
    assert not known.keeps_up(BEN)
    known.announced([record(ME)], 10.0 + ANNOUNCED_BY)  # by now ben could have said something
    assert not known.is_heard(BEN)
    known.announced([record(ME), record(BEN)], 12.0)
    assert known.is_heard(BEN)


def test_one_whose_lease_runs_out_before_our_eyes_is_in_doubt_at_once() -> None:
    known = members()
    known.announced([record(ME)], 20.0)
    assert not known.is_heard(BEN)
    known.gone(20.0 + PATIENCE)
    assert not known.is_heard(BEN)
