"""A participant without a codec: joins, publishes synthetic media, receives everything, and keeps account of it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from sfu.dtls import Certificate

from .deliveries import Deliveries
from .ledger import Ledger
from .owner import Owner
from .publication import Publication, Rates, SourceName, make_publication
from .report import Report
from .sdp import AnswerError
from .signalling import Message, SignallingError
from .stay import Rejected, Stay
from .ticker import Ticker
from .transport import Transport, TransportError

_LOOK = 0.05  # seconds between two looks at what plays there
_PATIENCE = 15.0  # seconds for a move, where the server sets no deadline
_MARGIN = 0.5  # seconds before the deadline
_LINGER = 3.0  # seconds that one is still seen where one has left, by those who are on their way
_TROUBLES = (AnswerError, Rejected, SignallingError, TransportError, TimeoutError)


class PeerError(Exception):
    """The peer could not take part: refused, not connected, or a publication was rejected."""


class Peer:
    """Use as `async with Peer(url, token) as peer`; inside the block it is connected and sends.

    Peers of one process share a `ticker` (that somebody runs) and a `certificate`; alone, a peer has its own. `phase`
    (0 to 1) shifts its media clock, so that the frames of many do not fall on one moment. With a `sample` above 1 it
    only counts what it receives, and looks into each `sample`-th packet. `by_tcp`: its media takes no UDP, but ICE-TCP.
    """

    def __init__(
        self,
        url: str,
        token: str,
        publish: Sequence[SourceName] = ("microphone", "camera"),
        *,
        rates: Rates | None = None,
        ticker: Ticker | None = None,
        certificate: Certificate | None = None,
        phase: float = 0.0,
        sample: int = 1,
        by_tcp: bool = False,
    ) -> None:
        self.url = url
        self.deliveries = Deliveries()
        self.migrations = 0
        self._token = token
        self._ticker = ticker
        self._certificate = certificate
        self._sample = sample
        self._by_tcp = by_tcp
        self._stack = AsyncExitStack()
        self._owner = Owner()
        self._errors: list[str] = []
        self._started = 0.0
        self._moving = False
        rates = rates or Rates()
        start = time.monotonic() + phase / rates.frame_rate
        ssrc = secrets.randbits(31)
        made = []
        for number, name in enumerate(publish):
            ssrcs = (ssrc + 2 * number + 1, ssrc + 2 * number + 2)
            made.append(make_publication(name, str(number), ssrcs, secrets.randbits(32), rates, start))
        self._stay = self._new_stay(made)
        self._stays = [self._stay]  # that are open
        self._past: list[Stay] = []

    def _new_stay(self, publications: Sequence[Publication]) -> Stay:
        return Stay(
            publications,
            self.deliveries,
            self._certificate,
            self._message,
            self._errors,
            sample=self._sample,
            by_tcp=self._by_tcp,
        )

    @property
    def participant(self) -> str:
        """The id that the server gave to this peer."""
        return self._stay.participant

    @property
    def publications(self) -> list[Publication]:
        """What it publishes where it is now."""
        return self._stay.publications

    @property
    def ledger(self) -> Ledger:
        """What it receives where it is now."""
        return self._stay.ledger

    @property
    def transport(self) -> Transport:
        """Its connection to where it is now."""
        return self._stay.transport

    # ------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        """Join, negotiate and connect. Raises PeerError."""
        self._started = time.monotonic()
        async with AsyncExitStack() as stack:
            await self._enter(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    async def _enter(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self._owner)
        stack.push_async_callback(self._end)
        try:
            await self._stay.begin(self.url, self._token, self._owner)
        except _TROUBLES as error:
            raise PeerError(str(error)) from None
        if self._ticker is None:
            self._ticker = Ticker()
            self._owner.start(self._ticker.run())
        self._ticker.add(self._tick)
        stack.callback(self._ticker.remove, self._tick)

    async def _end(self) -> None:
        for stay in list(self._stays):
            await stay.end()

    async def request(self, message: Message) -> Message:
        """Send any request of the protocol and return its reply. Raises SignallingError."""
        return await self._stay.request(message)

    def _tick(self, now: float) -> None:
        for number, item in enumerate(self.publications):
            for payload in item.source.due(now):
                for stay in self._stays:
                    stay.send(number, payload, now)
        for stay in self._stays:
            stay.tick(now)

    # ------------------------------------------------------------------------------------------- going on elsewhere

    def _message(self, message: Message) -> None:
        if message["type"] == "migrate" and not self._moving and message["url"] != self._stay.url:
            self._moving = True
            deadline = message.get("deadline")
            self._owner.start(self._move(str(message["url"]), _PATIENCE if deadline is None else deadline - _MARGIN))

    async def _move(self, url: str, patience: float) -> None:
        """Be there before we leave here; whatever goes wrong there leaves us here."""
        there = self._new_stay([self._another(item) for item in self.publications])
        try:
            async with asyncio.timeout(patience):
                await there.begin(url, self._token, self._owner)
            await self._go_over(there)
        except BaseException as error:
            await there.end()
            if not isinstance(error, _TROUBLES):
                raise
            self._errors.append(f"cannot go on at {url}: {there.farewell or str(error) or 'not in time'}")
        finally:
            self._moving = False

    async def _go_over(self, there: Stay) -> None:
        before, until = self._stay, time.monotonic() + _PATIENCE
        self._stays.append(there)
        while there.playing < before.playing and not before.is_over and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)  # counters have no event
        self._stay = there
        self.migrations += 1
        if not before.is_over:
            await asyncio.sleep(_LINGER)
        self._stays.remove(before)
        self._past.append(before)
        await before.end("migrated")

    @staticmethod
    def _another(item: Publication) -> Publication:
        """The same source for another connection, with SSRCs of its own."""
        ssrc = secrets.randbits(31)
        rtx = None if item.section.rtx_ssrc is None else ssrc + 1
        return replace(item, section=replace(item.section, ssrc=ssrc, rtx_ssrc=rtx), stream=None, track="")

    # ------------------------------------------------------------------------------------------- account

    def receives(self, track: str) -> bool:
        """Whether `track` is in a slot and plays: something arrived, and of a video a keyframe."""
        return any(stay.receives(track) for stay in self._stays)

    def published(self) -> Iterator[tuple[str, int]]:
        """The ids that its tracks have or had, each with its tag."""
        for stay in (*self._past, *self._stays):
            for item in stay.publications:
                yield item.track, item.source.track

    def settle(self) -> None:
        """All is negotiated: from here on nothing may come that no slot is there for, and pauses count."""
        for stay in self._stays:
            stay.ledger.settle()

    def report(self) -> Report:
        """What happened so far."""
        stays = [*self._past, *self._stays]
        slots = [slot for stay in stays for slot in stay.ledger.slots.values()]
        streams = [item.stream for stay in stays for item in stay.publications if item.stream]
        return Report(
            participant=self.participant,
            joined_in=stays[0].joined_at - self._started,
            connected_in=stays[0].connected_at - self._started,
            packets_sent=sum(stay.transport.sent for stay in stays),
            packets_received=sum(stay.ledger.packets for stay in stays),
            bytes_received=sum(stay.ledger.bytes for stay in stays),
            lost=sum(slot.lost for slot in slots),
            duplicates=sum(slot.duplicates for slot in slots),
            reordered=sum(slot.reordered for slot in slots),
            repaired=sum(slot.repaired for slot in slots),
            retransmitted=sum(stream.retransmitted for stream in streams),
            rejected=sum(stay.transport.rejected for stay in stays),
            blocked=sum(stay.transport.blocked for stay in stays),
            unknown=sum(stay.ledger.unknown for stay in stays),
            early=sum(stay.ledger.early for stay in stays),
            keyframes_sent=sum(item.source.keyframes for item in self.publications),
            keyframes_received=sum(slot.keyframes for slot in slots),
            feedback_messages=sum(stay.feedback_messages for stay in stays),
            feedback_lost=sum(stay.feedback_lost for stay in stays),
            redirects=sum(stay.redirects for stay in stays),
            migrations=self.migrations,
            first_video=tuple(slot.first_keyframe for slot in slots if slot.first_keyframe is not None),
            errors=tuple(self._errors),
        )
