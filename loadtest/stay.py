"""One stay of a peer at one instance: a session, a connection, and what was negotiated for it.

A peer that moves has two for a moment; both send the same packets, and what they receive goes into one account.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from sfu import rtcp, transport_cc
from sfu.dtls import Certificate

from .deliveries import Deliveries
from .entrance import enter
from .ledger import Ledger, SlotLedger
from .media import Payload
from .owner import Owner
from .publication import Publication, outgoing_stream
from .sdp import Answer, AnswerError, OfferedSection, read_answer, write_offer
from .signalling import Message, Signalling, SignallingError
from .tcp_transport import TcpTransport
from .transport import Transport, own_address_of

_REPORT_INTERVAL = 1.0  # seconds between SR and RR
_MAX_ASKED = 300  # sequence numbers in one NACK: each may need four bytes, and a packet has at most 1,500
_MAX_BLOCKS = 31  # RFC 3550 section 6.4.1: the count has five bits


class Rejected(Exception):
    """The server rejected what the peer publishes."""


class Stay:
    """`publications` are its own, though their sources may serve another one; `told` gets what is for the peer."""

    def __init__(
        self,
        publications: Sequence[Publication],
        deliveries: Deliveries,
        certificate: Certificate | None,
        told: Callable[[Message], None],
        errors: list[str],
        *,
        sample: int = 1,
        by_tcp: bool = False,
    ) -> None:
        self.participant = ""
        self.url = ""
        self.redirects = 0
        self.joined_at = self.connected_at = 0.0  # monotonic seconds
        self.feedback_messages = self.feedback_lost = 0
        self.publications = list(publications)
        self.ledger = Ledger(deliveries)
        receive = self.ledger.receive if sample == 1 else self.ledger.sample
        make = TcpTransport if by_tcp else Transport
        self.transport = make(certificate or Certificate(), receive, self.take_rtcp, sample=sample)
        self._told = told
        self._errors = errors
        self._signalling: Signalling | None = None
        self._sections = [item.section for item in self.publications]
        self._wanted = {"audio": 0, "video": 0}
        self._negotiate_again = asyncio.Event()
        self._version = 0
        self._session = secrets.randbits(60)
        self._ssrc = secrets.randbits(31)
        self._transport_sequence = 0
        self._next_report = 0.0

    # ------------------------------------------------------------------------------------------- life

    async def begin(self, url: str, token: str, owner: Owner) -> None:
        """Join, negotiate and connect. Raises AnswerError, Rejected, SignallingError, TransportError."""
        entered = await enter(url, token, owner, self._message)
        self._signalling, self.url, self.redirects = entered.signalling, entered.url, entered.redirects
        self.joined_at = time.monotonic()
        self._welcome(entered.welcome)
        answer = await self._negotiate()
        host = urlsplit(self.url).hostname or ""
        await self.transport.connect(answer, prefer=await asyncio.to_thread(own_address_of, host))
        self.connected_at = time.monotonic()
        owner.start(self._keep_negotiating())

    async def end(self, reason: str = "left") -> None:
        """Leave, and close everything. May be called whatever `begin` came to."""
        await self.transport.close()
        if self._signalling is None:
            return
        if self._signalling.goodbye is None:
            try:
                await self._signalling.request(
                    {"type": "leave"} if reason == "left" else {"type": "leave", "reason": reason}
                )
            except SignallingError as error:
                if error.code != "closed":
                    self._errors.append(str(error))
        await self._signalling.close()

    @property
    def is_over(self) -> bool:
        """Whether the server has said goodbye."""
        return self.farewell != ""

    @property
    def farewell(self) -> str:
        """Why the server has said goodbye, in a word; "" as long as it has not."""
        goodbye = None if self._signalling is None else self._signalling.goodbye
        return "" if goodbye is None else str(goodbye.get("code"))

    async def request(self, message: Message) -> Message:
        """Send any request of the protocol and return its reply. Raises SignallingError."""
        if self._signalling is None:
            raise SignallingError("closed", "not joined")
        return await self._signalling.request(message)

    # ------------------------------------------------------------------------------------------- signalling

    def _welcome(self, welcome: Message) -> None:
        self.participant = welcome["participant"]
        self.url = welcome.get("url") or self.url
        self._map(welcome["slots"])
        self._want(welcome["receive"])

    def _message(self, message: Message) -> None:
        match message["type"]:
            case "slots":
                self._map(message["slots"])
            case "renegotiate":
                self._want(message)
            case "media_state" if message["state"] in ("disconnected", "failed"):
                self._errors.append(f"media {message['state']}")
            case "error":
                self._errors.append(f"{message['code']}: {message['message']}")
            case _:
                self._told(message)

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
            except (AnswerError, SignallingError, Rejected) as error:
                self._errors.append(str(error))
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
            raise Rejected(f"rejected: {reply['rejected']}")
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

    def send(self, number: int, payload: Payload, now: float) -> None:
        """Send a packet of the publication with this number, as soon as the answer has made a stream of it."""
        stream = self.publications[number].stream
        if stream is not None:
            self._transport_sequence += 1
            self.transport.send_rtp(stream.packet(payload, self._transport_sequence, now))

    def tick(self, now: float) -> None:
        """Ask for what is missing, and report. `now` in monotonic seconds."""
        for ssrc, sequences in self.ledger.nacks(now):
            for at in range(0, len(sequences), _MAX_ASKED):
                asked = sequences[at : at + _MAX_ASKED]
                self.transport.send_rtcp(rtcp.receiver_report(self._ssrc, ()) + rtcp.nack(self._ssrc, ssrc, asked))
        if now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL
            self._report(now)
        self.transport.tick(now)

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

    def take_rtcp(self, data: bytes, now: float) -> None:
        """Take a decrypted RTCP packet."""
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
                    self.feedback_messages += 1
                    try:
                        statuses = transport_cc.parse_statuses(packet.body)[1]
                    except ValueError:
                        self.transport.rejected += 1
                    else:
                        self.feedback_lost += statuses.count(False)

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

    @property
    def playing(self) -> int:
        """How many tracks play."""
        return sum(slot.track is not None and slot.has_started for slot in self.ledger.slots.values())
