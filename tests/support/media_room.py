"""People who talk in a room, and the proof of what each of them received of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from loadtest.owner import Owner
from loadtest.peer import Peer
from loadtest.publication import Publication, Rates
from loadtest.ticker import Ticker
from sfu.dtls import Certificate

from .people import token_for
from .waiting import eventually

QUIET = Rates(video_bitrate=40_000, frame_rate=5, audio_bitrate=24_000)
SETTLES_WITHIN = 20.0
DRAINS_WITHIN = 3.0


@dataclass(frozen=True)
class Delivery:
    """What became of the packets that were `sent`: each is `due` once at each other peer of the room."""

    sent: int
    due: int
    delivered: int
    repeated: int
    errors: tuple[str, ...]

    @property
    def is_perfect(self) -> bool:
        """Whether each packet came to everybody exactly once, and nobody's call had any trouble."""
        return self.delivered == self.due > 0 and not self.repeated and not self.errors


class MediaRoom:
    """Peers that all publish and all receive each other. Only what they send after `begin` counts."""

    def __init__(self, peers: list[Peer]) -> None:
        self.peers = peers
        self._first: dict[int, int] = {}

    async def settles(self) -> None:
        """Wait until everybody receives everybody."""
        await eventually(self._is_settled, SETTLES_WITHIN)

    def begin(self) -> None:
        """Count from here on."""
        for peer in self.peers:
            for item in peer.publications:
                self._first[item.source.track] = item.source.sent

    async def end(self) -> Delivery:
        """Count to here, and wait for what is under way."""
        ends = {item.source.track: item.source.sent for peer in self.peers for item in peer.publications}
        for _ in range(int(DRAINS_WITHIN / 0.1)):
            await asyncio.sleep(0.1)  # all go on sending: without a later packet no loss would be noticed
            found = self._count(ends)
            if found.delivered == found.due:
                break
        return found

    def _is_settled(self) -> bool:
        return all(peer.receives(item.track) for peer in self.peers for item in self._others(peer))

    def _others(self, peer: Peer) -> list[Publication]:
        return [item for other in self.peers if other is not peer for item in other.publications]

    def _count(self, ends: dict[int, int]) -> Delivery:
        sent = sum(ends[track] - first for track, first in self._first.items())
        due = delivered = repeated = 0
        for peer in self.peers:
            for item in self._others(peer):
                track = item.source.track
                arrivals = peer.deliveries.arrivals.get(track, bytearray())[self._first[track] : ends[track]]
                due += ends[track] - self._first[track]
                delivered += len(arrivals) - arrivals.count(0)
                repeated += len(arrivals) - arrivals.count(0) - arrivals.count(1)
        errors = tuple(error for peer in self.peers for error in peer.report().errors)
        return Delivery(sent, due, delivered, repeated, errors)


@asynccontextmanager
async def media_room(url: str, room: str, size: int = 2, prefix: str = "peer") -> AsyncIterator[MediaRoom]:
    """So many peers in a room, for as long as the block lasts."""
    ticker, certificate = Ticker(), Certificate()
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(Owner())
        owner.start(ticker.run())
        peers = [
            Peer(
                url,
                token_for(room, f"{prefix}-{number + 1}"),
                rates=QUIET,
                ticker=ticker,
                certificate=certificate,
                phase=number / size,
            )
            for number in range(size)
        ]
        for peer in peers:
            await stack.enter_async_context(peer)
        talking = MediaRoom(peers)
        await talking.settles()
        yield talking
