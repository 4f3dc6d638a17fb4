"""A load counts what each receiver lacks or got twice, and takes those who cannot join as a result, not as a crash."""

from __future__ import annotations

import pytest

from loadtest import load, transport
from loadtest.ledger import SlotLedger
from loadtest.load import Load, Missing, Outcome, _count, _Member
from loadtest.peer import Peer
from loadtest.tags import tag
from loadtest.tokens import TokenRefused
from sfu import rtp

from .counterpart import CLIENT
from .tiny_server import tiny_server

SENT = range(5, 9)  # counters of the packets that are measured


def members() -> list[_Member]:
    """Two in a room and one in another, each with a microphone; `t-NAME` is its track."""
    made = []
    for number, (room, name) in enumerate([("tea", "ada"), ("tea", "bob"), ("pub", "cid")]):
        member = _Member(room, name, Peer("ws://host/ws", "", ("microphone",), certificate=CLIENT))
        (item,) = member.peer.publications
        item.track, item.source.track, item.source.sent = f"t-{name}", number, SENT.stop
        member.marks[number] = (SENT.start, SENT.stop)
        slot = SlotLedger("a0", "audio", 1000, None)
        member.peer.ledger.add(slot, 0.0)
        made.append(member)
    return made


def deliver(sender: _Member, receiver: _Member, *counters: int, slot: str | None = None) -> None:
    """So many packets of `sender` arrive at `receiver`, in a slot that carries `slot`, or what it should."""
    receiver.peer.ledger.map({"a0": slot or sender.peer.publications[0].track}, 0.0)
    for counter in counters:
        body = tag(sender.peer.publications[0].source.track, counter)
        receiver.peer.ledger.receive(rtp.pack(rtp.Packet(0, 111, counter, 0, 1000, {}, body)), 0.0)


def counted(everybody: list[_Member]) -> Outcome:
    """What the count says of them."""
    outcome = Outcome(wanted=3, reports=[member.peer.report() for member in everybody])
    _count(everybody, outcome)
    return outcome


def test_if_everybody_in_a_room_gets_everything_once_all_is_perfect() -> None:
    ada, bob, cid = members()
    deliver(ada, bob, *range(12))  # what came before and after the measurement does not count
    deliver(bob, ada, *SENT)
    outcome = counted([ada, bob, cid])
    assert (outcome.tracks_sent, outcome.sent, outcome.due, outcome.delivered) == (3, 12, 8, 8)
    assert outcome.missing == []
    assert outcome.is_perfect


def test_what_is_missing_and_what_came_twice_is_named() -> None:
    ada, bob, cid = members()
    deliver(ada, bob, 5, 5, 7, 7, 7, 8)
    outcome = counted([ada, bob, cid])
    assert (outcome.due, outcome.delivered, outcome.repeated) == (8, 3, 2)
    assert outcome.missing == [
        Missing("tea", "ada", "bob", "microphone", 4, 4, 0),
        Missing("tea", "bob", "ada", "microphone", 4, 1, 2),
    ]
    assert not outcome.is_perfect


@pytest.mark.parametrize(("sender", "slot"), [(0, "t-cid"), (2, "t-cid"), (1, "t-bob")])
def test_a_packet_in_a_slot_of_another_track_or_of_another_room_or_back_at_its_sender_is_misplaced(
    sender: int, slot: str
) -> None:
    everybody = members()
    deliver(everybody[sender], everybody[1], 5, slot=slot)
    assert counted(everybody).misplaced == 1


def test_counting_again_does_not_add_up() -> None:
    ada, bob, cid = members()
    deliver(ada, bob, *SENT)
    outcome = counted([ada, bob, cid])
    _count([ada, bob, cid], outcome)
    assert (outcome.due, outcome.delivered, len(outcome.missing)) == (8, 4, 1)


@pytest.mark.parametrize(
    "flaw", [{"failures": ["x"]}, {"unsettled": 1}, {"wanted": 1}, {"delivered": 9}, {"repeated": 1}, {"misplaced": 1}]
)
def test_with_a_single_flaw_nothing_is_perfect(flaw: dict[str, object]) -> None:
    outcome = Outcome(wanted=0, due=10, delivered=10)
    assert outcome.is_perfect
    for name, value in flaw.items():
        setattr(outcome, name, value)
    assert not outcome.is_perfect


def test_nothing_due_is_not_perfect() -> None:
    assert not Outcome(wanted=0).is_perfect


# ------------------------------------------------------------------------------------------------------------ joining


async def test_participants_without_a_token_are_told_and_nothing_is_measured() -> None:
    def refuse(room: str, identity: str) -> str:
        raise TokenRefused("no more tokens")

    outcome = await load.run(Load(["ws://127.0.0.1:9/ws"], refuse, rooms=2, participants=2))
    assert sorted(outcome.failures) == [f"load-{room}-{seat}: no more tokens" for room in (1, 2) for seat in (1, 2)]
    assert not outcome.is_perfect
    assert outcome.elapsed == 0


async def test_a_server_that_is_not_there_fails_each_participant() -> None:
    outcome = await load.run(Load(["ws://127.0.0.1:9/ws"], lambda room, identity: "token"))
    assert len(outcome.failures) == 2
    assert all("closed: cannot connect" in failure for failure in outcome.failures)


@pytest.mark.parametrize("request_type", ["join", "offer"])
async def test_whom_the_server_refuses_is_told_with_its_words(
    request_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_CHECK_INTERVAL", 0.01)
    async with tiny_server() as server:
        server.refusals[request_type] = "room_full"
        outcome = await load.run(Load([server.url], lambda room, identity: "token", participants=2, room_prefix="tea"))
    assert sorted(outcome.failures) == ["tea-1-1: room_full: no", "tea-1-2: room_full: no"]
    assert outcome.reports == []
