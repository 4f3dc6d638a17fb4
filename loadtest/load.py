"""A load: rooms full of peers that publish and receive, and the proof of what was delivered to whom."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from sfu.dtls import Certificate

from .owner import Owner
from .peer import Peer, PeerError
from .publication import Rates, SourceName
from .report import Report
from .ticker import Ticker
from .tokens import TokenRefused, TokenSource

# More joins at a time only make each of them slower; the handshakes need the CPU.
_JOINS_AT_ONCE = 8
_SETTLE_EVERY = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Load:
    """What to do. Times are in seconds."""

    urls: Sequence[str]  # participants are spread over them
    tokens: TokenSource
    rooms: int = 1
    participants: int = 2
    publish: tuple[SourceName, ...] = ("microphone", "camera")
    rates: Rates = field(default_factory=Rates)
    duration: float = 10.0
    settle_within: float = 20.0
    drain: float = 2.0
    room_prefix: str = "load"
    by_tcp: bool = False  # the media, by ICE-TCP instead of UDP


@dataclass(frozen=True, slots=True)
class Missing:
    """Packets of one track that one receiver did not get exactly once."""

    room: str
    receiver: str
    sender: str
    source: str
    sent: int
    absent: int
    repeated: int


@dataclass(slots=True)
class Outcome:
    """What happened. `due` counts each tagged packet once per receiver that should get it."""

    wanted: int
    failures: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    unsettled: int = 0
    tracks_sent: int = 0
    sent: int = 0
    due: int = 0
    delivered: int = 0
    repeated: int = 0
    doubled: int = 0  # came by both connections of a move
    pauses: list[float] = field(default_factory=list)  # the longest of each track at each receiver, in seconds
    misplaced: int = 0
    missing: list[Missing] = field(default_factory=list)
    cpu: float = 0.0
    elapsed: float = 0.0
    late: float = 0.0

    @property
    def is_perfect(self) -> bool:
        """Whether everybody joined, and every packet reached every other participant of its room exactly once."""
        return (
            not self.failures
            and len(self.reports) == self.wanted
            and self.unsettled == 0
            and self.delivered == self.due > 0
            and self.repeated == self.misplaced == 0
        )


@dataclass(slots=True)
class _Member:
    room: str
    identity: str
    peer: Peer
    marks: dict[int, tuple[int, int]] = field(default_factory=dict)  # tag -> first counter, end


async def run(load: Load) -> Outcome:
    """Join everybody, wait until everybody receives everybody, measure for `duration`, and count."""
    outcome = Outcome(wanted=load.rooms * load.participants)
    members: list[_Member] = []
    ticker, certificate = Ticker(), Certificate()
    finish, gate = asyncio.Event(), asyncio.Semaphore(_JOINS_AT_ONCE)

    async def participate(room: str, identity: str, url: str, phase: float) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with gate:
                    token = await asyncio.to_thread(load.tokens, room, identity)
                    peer = await stack.enter_async_context(
                        Peer(
                            url,
                            token,
                            load.publish,
                            rates=load.rates,
                            ticker=ticker,
                            certificate=certificate,
                            phase=phase,
                            by_tcp=load.by_tcp,
                        )
                    )
                members.append(_Member(room, identity, peer))
                entered.release()
                await finish.wait()
        except (PeerError, TokenRefused) as error:
            outcome.failures.append(f"{identity}: {error}")
            entered.release()

    entered = asyncio.Semaphore(0)
    async with Owner() as owner, asyncio.TaskGroup() as group:
        owner.start(ticker.run())
        for number in range(outcome.wanted):
            room, seat = divmod(number, load.participants)
            identity = f"{load.room_prefix}-{room + 1}-{seat + 1}"
            url = load.urls[number % len(load.urls)]
            group.create_task(participate(f"{load.room_prefix}-{room + 1}", identity, url, number / outcome.wanted))
        for _ in range(outcome.wanted):
            await entered.acquire()
        try:
            if members:
                outcome.unsettled = await _settle(members, load.settle_within)
                await _measure(members, load, outcome)
        finally:
            finish.set()
    outcome.late = ticker.latest
    return outcome


async def _settle(members: Sequence[_Member], within: float) -> int:
    """Wait until each receives all tracks of its room. How many (receiver, track) pairs do not at the end."""
    deadline = time.monotonic() + within
    while True:
        lacking = sum(
            not member.peer.receives(publication.track)
            for member in members
            for other in _others(member, members)
            for publication in other.peer.publications
        )
        if not lacking or time.monotonic() >= deadline:
            return lacking
        await asyncio.sleep(_SETTLE_EVERY)


async def _measure(members: Sequence[_Member], load: Load, outcome: Outcome) -> None:
    gc.collect()
    gc.freeze()  # a full collection would stop the media of all peers at once
    started, cpu = time.monotonic(), _cpu_time()
    for member in members:
        member.peer.settle()
        for publication in member.peer.publications:
            member.marks[publication.source.track] = (publication.source.sent, 0)
    await asyncio.sleep(load.duration)
    for member in members:
        for tag, (first, _) in member.marks.items():
            end = next(item.source.sent for item in member.peer.publications if item.source.track == tag)
            member.marks[tag] = (first, end)
    outcome.elapsed, outcome.cpu = time.monotonic() - started, _cpu_time() - cpu
    gc.unfreeze()
    deadline = time.monotonic() + load.drain
    # What is on its way still counts, and what is being repaired. All go on sending: without a later packet nobody
    # would notice that the last one is missing.
    while True:
        await asyncio.sleep(_SETTLE_EVERY)
        _count(members, outcome)
        if outcome.delivered == outcome.due or time.monotonic() >= deadline:
            break
    await asyncio.sleep(_SETTLE_EVERY)  # a second copy would come now
    _count(members, outcome)
    outcome.reports = [member.peer.report() for member in members]


def _count(members: Sequence[_Member], outcome: Outcome) -> None:
    outcome.missing = []
    outcome.pauses = []
    outcome.due = outcome.delivered = outcome.repeated = outcome.doubled = outcome.misplaced = 0
    outcome.sent = sum(end - first for member in members for first, end in member.marks.values())
    outcome.tracks_sent = sum(len(member.marks) for member in members)
    for member in members:
        for other in _others(member, members):
            for publication in other.peer.publications:
                tag = publication.source.track
                first, end = other.marks[tag]
                arrivals = member.peer.deliveries.arrivals.get(tag, bytearray())[first:end]
                absent = end - first - len(arrivals) + arrivals.count(0)
                repeated = len(arrivals) - arrivals.count(0) - arrivals.count(1)
                if member.peer.migrations or other.peer.migrations:
                    outcome.doubled, repeated = outcome.doubled + repeated, 0
                if tag in member.peer.deliveries.pauses:
                    outcome.pauses.append(member.peer.deliveries.pauses[tag])
                outcome.due += end - first
                outcome.delivered += end - first - absent
                outcome.repeated += repeated
                if absent or repeated:
                    outcome.missing.append(
                        Missing(
                            member.room,
                            member.identity,
                            other.identity,
                            publication.name,
                            end - first,
                            absent,
                            repeated,
                        )
                    )
        outcome.misplaced += _misplaced(member, members)


def _misplaced(member: _Member, members: Sequence[_Member]) -> int:
    """Packets that came in a slot which, by the `slots` message, carried another track, or came to the wrong room."""
    right = {pair for other in _others(member, members) for pair in other.peer.published()}
    return sum(count for pair, count in member.peer.deliveries.carried.items() if pair not in right)


def _others(member: _Member, members: Sequence[_Member]) -> Iterator[_Member]:
    return (other for other in members if other.room == member.room and other is not member)


def _cpu_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
