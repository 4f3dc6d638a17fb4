"""A participant without a codec: joins, publishes synthetic media, receives everything, and keeps account of it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from sfu import rtcp, transport_cc
from sfu.dtls import Certificate

from .ledger import Ledger, SlotLedger
from .owner import Owner
from .publication import Publication, Rates, SourceName, make_publication, outgoing_stream
from .report import Report
from .sdp import Answer, AnswerError, OfferedSection, read_answer, write_offer
from .signalling import Message, Signalling, SignallingError
from .ticker import Ticker
from .transport import Transport, TransportError, own_address_of

_REPORT_INTERVAL = 1.0  # seconds between SR and RR
_MAX_ASKED = 300  # sequence numbers in one NACK: each may need four bytes, and a packet has at most 1,500
_MAX_BLOCKS = 31  # RFC 3550 section 6.4.1: the count has five bits


class PeerError(Exception):
    """The peer could not take part: refused, not connected, or a publication was rejected."""


@dataclass(slots=True)
class _Times:
    started: float = 0.0
    joined: float = 0.0
    connected: float = 0.0
    next_report: float = 0.0


@dataclass(slots=True)
class _Feedback:
    messages: int = 0
    lost: int = 0
    errors: list[str] = field(default_factory=list)


class Peer:
    """Use as `async with Peer(url, token) as peer`; inside the block it is connected and sends.

    Peers of one process share a `ticker` (that somebody runs) and a `certificate`; alone, a peer has its own. `phase`
    (0 to 1) shifts its media clock, so that the frames of many do not fall on one moment. With a `sample` above 1 it
    only counts what it receives, and looks into each `sample`-th packet.
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
    ) -> None:
        self.url = url
        self.participant = ""
        self.publications: list[Publication] = []
        self.ledger = Ledger()
        receive = self.ledger.receive if sample == 1 else self.ledger.sample
        self.transport = Transport(certificate or Certificate(), receive, self._rtcp, sample=sample)
        self._token = token
        self._rates = rates or Rates()
        self._ticker = ticker
        self._stack = AsyncExitStack()
        self._signalling: Signalling | None = None
        self._sections: list[OfferedSection] = []
        self._wanted = {"audio": 0, "video": 0}
        self._negotiate_again = asyncio.Event()
        self._version = 0
        self._session = secrets.randbits(60)
        self._ssrc = secrets.randbits(31)
        self._transport_sequence = 0
        self._times = _Times()
        self._feedback = _Feedback()
        start = time.monotonic() + phase / self._rates.frame_rate
        for name in publish:
            ssrcs = (self._ssrc + 1, self._ssrc + 2)
            self._ssrc += 2
            item = make_publication(name, str(len(self._sections)), ssrcs, secrets.randbits(32), self._rates, start)
            self._sections.append(item.section)
            self.publications.append(item)

    # ------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        """Join, negotiate and connect. Raises PeerError."""
        self._times.started = time.monotonic()
        async with AsyncExitStack() as stack:
            await self._enter(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    async def _enter(self, stack: AsyncExitStack) -> None:
        try:
            signalling = self._signalling = await Signalling.open(self.url, self._message)
            stack.push_async_callback(signalling.close)
            owner = await stack.enter_async_context(Owner())
            owner.start(signalling.read())
            welcome = await signalling.request({"type": "join", "token": self._token, "subscribe": "auto"})
            self._times.joined = time.monotonic()
            stack.push_async_callback(self._leave)
            self._welcome(welcome)
            stack.push_async_callback(self.transport.close)
            answer = await self._negotiate()
            host = urlsplit(self.url).hostname or ""
            await self.transport.connect(answer, prefer=await asyncio.to_thread(own_address_of, host))
        except (AnswerError, SignallingError, TransportError) as error:
            raise PeerError(str(error)) from None
        self._times.connected = time.monotonic()
        owner.start(self._keep_negotiating())
        if self._ticker is None:
            self._ticker = Ticker()
            owner.start(self._ticker.run())
        self._ticker.add(self._tick)
        stack.callback(self._ticker.remove, self._tick)

    async def _leave(self) -> None:
        if self._signalling is None or self._signalling.goodbye is not None:
            return
        try:
            await self._signalling.request({"type": "leave"})
        except SignallingError as error:
            if error.code != "closed":
                self._feedback.errors.append(str(error))

    async def request(self, message: Message) -> Message:
        """Send any request of the protocol and return its reply. Raises SignallingError."""
        if self._signalling is None:
            raise SignallingError("closed", "not joined")
        return await self._signalling.request(message)

    # ------------------------------------------------------------------------------------------- signalling

    def _welcome(self, welcome: Message) -> None:
        self.participant = welcome["participant"]
        self._map(welcome["slots"])
        self._want(welcome["receive"])

    def _message(self, message: Message) -> None:
        match message["type"]:
            case "slots":
                self._map(message["slots"])
            case "renegotiate":
                self._want(message)
            case "media_state" if message["state"] in ("disconnected", "failed"):
                self._feedback.errors.append(f"media {message['state']}")
            case "error":
                self._feedback.errors.append(f"{message['code']}: {message['message']}")

    def _map(self, slots: Sequence[Message]) -> None:
        self.ledger.map({slot["mid"]: slot["track"] for slot in slots}, time.monotonic())

    def _want(self, receive: Message) -> None:
        for kind in ("audio", "video"):
            self._wanted[kind] = max(self._wanted[kind], receive[kind])
        self._negotiate_again.set()

    async def _keep_negotiating(self) -> None:
        while True:
            await self._negotiate_again.wait()
            try:
                await self._negotiate()
            except (AnswerError, SignallingError, PeerError) as error:
                self._feedback.errors.append(str(error))
                if isinstance(error, SignallingError) and error.code == "closed":
                    return

    async def _negotiate(self) -> Answer:
        """Offer what is published and as many receive sections as are wanted, and take the answer in."""
        self._negotiate_again.clear()
        for kind in ("audio", "video"):
            have = sum(section.kind == kind and section.ssrc is None for section in self._sections)
            for number in range(have, self._wanted[kind]):
                mid = f"{kind[0]}{number}"
                self._sections.append(OfferedSection(mid, "audio" if kind == "audio" else "video"))
        self._version += 1
        offer = write_offer(self._sections, self.transport.local, session_id=self._session, version=self._version)
        tracks = [{"mid": item.section.mid, "source": item.name} for item in self.publications]
        reply = await self.request({"type": "offer", "sdp": offer, "tracks": tracks})
        if reply["rejected"]:
            raise PeerError(f"rejected: {reply['rejected']}")
        answer = read_answer(reply["sdp"])
        ids = {track["mid"]: track["track"] for track in reply["tracks"]}
        for item in self.publications:
            item.track = ids.get(item.section.mid, "")
            if item.stream is None:
                item.stream = outgoing_stream(item, answer, secrets.randbits(15))
        now = time.monotonic()
        for section in answer.sections.values():
            if section.direction == "sendonly" and section.ssrc is not None:
                self.ledger.add(SlotLedger(section.mid, section.kind, section.ssrc, section.rtx_ssrc), now)
        return answer

    # ------------------------------------------------------------------------------------------- media

    def _tick(self, now: float) -> None:
        transport = self.transport
        for item in self.publications:
            if item.stream is not None:
                for payload in item.source.due(now):
                    self._transport_sequence += 1
                    transport.send_rtp(item.stream.packet(payload, self._transport_sequence, now))
        for ssrc, sequences in self.ledger.nacks(now):
            for at in range(0, len(sequences), _MAX_ASKED):
                asked = sequences[at : at + _MAX_ASKED]
                transport.send_rtcp(rtcp.receiver_report(self._ssrc, ()) + rtcp.nack(self._ssrc, ssrc, asked))
        if now >= self._times.next_report:
            self._times.next_report = now + _REPORT_INTERVAL
            self._report(now)
        transport.tick(now)

    def _report(self, now: float) -> None:
        description = rtcp.source_description(self._ssrc, "load")
        for item in self.publications:
            if item.stream is not None and item.stream.packets:
                self.transport.send_rtcp(item.stream.sender_report(now, time.time()) + description)
        slots = self.ledger.slots.values()
        blocks = [block for slot in slots if (block := slot.block(now)) is not None]
        for at in range(0, len(blocks), _MAX_BLOCKS):
            self.transport.send_rtcp(rtcp.receiver_report(self._ssrc, blocks[at : at + _MAX_BLOCKS]) + description)
        for slot in slots:
            if slot.needs_keyframe(now):
                head = rtcp.receiver_report(self._ssrc, ())
                self.transport.send_rtcp(head + rtcp.picture_loss_indication(self._ssrc, slot.ssrc))

    def _rtcp(self, data: bytes, now: float) -> None:
        try:
            packets = rtcp.parse(data)
        except rtcp.RtcpError:
            self.transport.rejected += 1
            return
        for packet in packets:
            match packet:
                case rtcp.Nack():
                    self._resend(packet)
                case rtcp.KeyframeRequest():
                    for item in self.publications:
                        if item.section.ssrc in packet.media_ssrcs:
                            item.source.request_keyframe()
                case rtcp.SenderReport():
                    self.ledger.sender_report(packet.ssrc, packet.ntp, now)
                case rtcp.TransportFeedback():
                    self._feedback.messages += 1
                    try:
                        statuses = transport_cc.parse_statuses(packet.body)[1]
                    except ValueError:
                        self.transport.rejected += 1
                    else:
                        self._feedback.lost += statuses.count(False)

    def _resend(self, request: rtcp.Nack) -> None:
        for item in self.publications:
            if item.stream is not None and item.section.ssrc == request.media_ssrc:
                for sequence in request.sequences:
                    packet = item.stream.retransmission(sequence, self._transport_sequence + 1)
                    if packet is not None:  # else the number stays free: a gap would look like a loss
                        self._transport_sequence += 1
                        self.transport.send_rtp(packet)

    # ------------------------------------------------------------------------------------------- account

    def receives(self, track: str) -> bool:
        """Whether `track` is in a slot and plays: something arrived, and of a video a keyframe."""
        return any(slot.track == track and slot.has_started for slot in self.ledger.slots.values())

    def report(self) -> Report:
        """What happened so far."""
        slots = list(self.ledger.slots.values())
        return Report(
            participant=self.participant,
            joined_in=self._times.joined - self._times.started,
            connected_in=self._times.connected - self._times.started,
            packets_sent=self.transport.sent,
            packets_received=self.ledger.packets,
            bytes_received=self.ledger.bytes,
            lost=sum(slot.lost for slot in slots),
            duplicates=sum(slot.duplicates for slot in slots),
            reordered=sum(slot.reordered for slot in slots),
            repaired=sum(slot.repaired for slot in slots),
            retransmitted=sum(item.stream.retransmitted for item in self.publications if item.stream),
            rejected=self.transport.rejected,
            blocked=self.transport.blocked,
            unknown=self.ledger.unknown,
            early=self.ledger.early,
            keyframes_sent=sum(item.source.keyframes for item in self.publications),
            keyframes_received=sum(slot.keyframes for slot in slots),
            feedback_messages=self._feedback.messages,
            feedback_lost=self._feedback.lost,
            first_video=tuple(slot.first_keyframe for slot in slots if slot.first_keyframe is not None),
            errors=tuple(self._feedback.errors),
        )
