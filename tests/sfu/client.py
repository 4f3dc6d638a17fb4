"""A client of the engine without browser or signalling: real sockets, ICE checks, DTLS and SRTP on loopback."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TypeVar

from loadtest.sdp import Answer, Kind, OfferedSection, read_answer, write_offer
from loadtest.transport import Transport
from sfu import media_plane, rtp
from sfu.addresses import LocalAddress
from sfu.dtls import Certificate
from sfu.engine import Engine, EngineOptions
from sfu.media_plane import MediaEvent, PeerId, PublishedTrack, TrackId
from sfu.rtp import Packet
from tests.support.waiting import eventually

OPTIONS = EngineOptions([LocalAddress("127.0.0.1")])
ANN, BOB, ROOM = PeerId("ann"), PeerId("bob"), "room"
Event = TypeVar("Event", bound=MediaEvent)


class Client:
    """One connection of `peer`. `received` are the decrypted packets by SSRC, `asked` the RTCP."""

    def __init__(self, media: Engine, peer: str, certificate: Certificate | None = None) -> None:
        self.media = media
        self.peer = PeerId(peer)
        self.transport = Transport(certificate or Certificate(), self._rtp, self._rtcp)
        self.sections: list[OfferedSection] = []
        self.tracks: dict[str, TrackId] = {}
        self.received: dict[int, list[Packet]] = {}
        self.rtcp: list[bytes] = []
        self.answer: Answer | None = None
        self.accepted: media_plane.Answer | None = None
        self.version = 0

    def publish(self, kind: Kind, track: str) -> OfferedSection:
        """A sendonly section for the next offer."""
        ssrc = secrets.randbits(31)
        section = OfferedSection(str(len(self.sections)), kind, ssrc, ssrc + 1 if kind == "video" else None)
        self.sections.append(section)
        self.tracks[section.mid] = TrackId(track)
        return section

    def receive(self, audio: int, video: int) -> None:
        """So many recvonly sections more."""
        for kind, count in (("audio", audio), ("video", video)):
            for _ in range(count):
                self.sections.append(OfferedSection(str(len(self.sections)), kind))  # type: ignore[arg-type]

    def offer_text(self) -> str:
        self.version += 1
        return write_offer(self.sections, self.transport.local, session_id=1, version=self.version)

    async def offer(self) -> Answer:
        published = [PublishedTrack(mid, track) for mid, track in self.tracks.items()]
        self.accepted = await self.media.answer(self.peer, self.offer_text(), published)
        self.answer = read_answer(self.accepted.sdp)
        return self.answer

    async def connect(self) -> None:
        await self.transport.connect(self.answer or await self.offer())

    async def restart_ice(self) -> Answer:
        """New credentials, an offer, and a first check with them."""
        self.transport.local = replace(
            self.transport.local, ice_ufrag=secrets.token_hex(4), ice_pwd=secrets.token_hex(16)
        )
        self.transport._remote = await self.offer()
        self.transport._send_check()
        return self.transport._remote

    def send(self, section: OfferedSection, packet: Packet) -> None:
        assert section.ssrc is not None
        self.transport.send_rtp(rtp.pack(packet._replace(ssrc=section.ssrc)))

    def _rtp(self, data: bytes, _now: float) -> None:
        packet = rtp.parse(data)
        self.received.setdefault(packet.ssrc, []).append(packet)

    def _rtcp(self, data: bytes, _now: float) -> None:
        self.rtcp.append(data)


async def connected(client: Client, *, audio: int = 0, video: int = 0, publish: str = "") -> Client:
    """The client in the room; `publish` is "a", "v" or both, and names its tracks like `ann-v`."""
    await client.media.open_peer(client.peer, ROOM)
    for kind in publish:
        client.publish("audio" if kind == "a" else "video", f"{client.peer}-{kind}")
    client.receive(audio, video)
    await client.connect()
    await eventually(lambda: state_of(client.media, client.peer) == "connected", every=0.005)
    return client


async def client_of(media: Engine, peer: PeerId, *, audio: int = 0, video: int = 0, publish: str = "") -> Client:
    """A client that is connected."""
    return await connected(Client(media, peer), audio=audio, video=video, publish=publish)


def state_of(media: Engine, peer: PeerId) -> str:
    """The state of its connection, empty if it has none."""
    found = media._board.members[peer].peer
    return found.transport.state if found else ""


def told(media: Engine, kind: type[Event]) -> list[Event]:
    """The events of one kind up to now."""
    events: list[MediaEvent] = []
    while (event := media._events.take()) is not None:
        events.append(event)
    return [event for event in events if isinstance(event, kind)]
