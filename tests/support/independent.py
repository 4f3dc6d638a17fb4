"""A third WebRTC stack in a call: aiortc, with signalling of its own written from the protocol's description alone."""

from __future__ import annotations

import asyncio
import fractions
import json
import math
import re
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from unittest.mock import patch

from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from .server import RunningServer
from .waiting import eventually


class Picture(MediaStreamTrack):
    """A small picture whose brightness wanders."""

    kind = "video"
    RATE = 10  # frames per second

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._count = 0

    async def recv(self) -> VideoFrame:
        """The next frame, when it is due."""
        await asyncio.sleep(self._began + self._count / self.RATE - time.monotonic())
        frame = VideoFrame(320, 192, "yuv420p")
        for plane, brightness in zip(frame.planes, (40 + self._count * 5 % 180, 128, 128), strict=True):
            plane.update(bytes([brightness]) * plane.buffer_size)
        frame.pts = self._count * 90_000 // self.RATE
        frame.time_base = fractions.Fraction(1, 90_000)
        self._count += 1
        return frame


class Tone(MediaStreamTrack):
    """A steady tone of 440 Hz."""

    kind = "audio"
    SAMPLES = 960  # in one frame of 20 ms at 48 kHz

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._count = 0

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        await asyncio.sleep(self._began + self._count * 0.02 - time.monotonic())
        first = self._count * self.SAMPLES
        wave = (math.sin(2 * math.pi * 440 * sample / 48_000) for sample in range(first, first + self.SAMPLES))
        frame = AudioFrame("s16", "mono", self.SAMPLES)
        frame.planes[0].update(array("h", (int(8000 * sample) for sample in wave)).tobytes())
        frame.sample_rate = 48_000
        frame.pts = first
        frame.time_base = fractions.Fraction(1, 48_000)
        self._count += 1
        return frame


class Independent:
    """One aiortc client in a room, which publishes a tone and a picture and takes what it is sent."""

    def __init__(self, socket: ClientConnection, tamper: Callable[[str], str]) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.told: list[dict[str, Any]] = []
        self.frames: Counter[str] = Counter()  # receive mid -> frames decoded
        self.energy: dict[str, float] = defaultdict(float)  # receive mid -> energy of its sound
        self._socket = socket
        self._tamper = tamper
        self._slots: dict[str, str | None] = {}
        self._tracks: dict[str, tuple[str, str]] = {}  # track id -> (identity, source)
        self._identities: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sources: dict[str, str] = {}
        self._offering = asyncio.Lock()
        self._has_candidates = False
        self.connection.on("track", lambda track: self._own(self._consume(track)))

    async def __aenter__(self) -> Self:
        self._own(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.connection.close()

    async def join(self, token: str) -> None:
        """Join and offer; returns when the answer is applied."""
        await self._send({"type": "join", "token": token})
        welcome = await self.hears("welcome")
        for kind, track, source in (("audio", Tone(), "microphone"), ("video", Picture(), "camera")):
            self.connection.addTransceiver(track, direction="sendonly")
            self._sources[kind] = source
        await self._offer(welcome["receive"])

    async def hears(self, kind: str, within: float = 5.0, **fields: Any) -> dict[str, Any]:
        """The first message of this type with these fields, waiting for it."""
        wanted = {"type": kind, **fields}
        return await eventually(
            lambda: next((said for said in self.told if wanted.items() <= said.items()), None), within
        )

    def mid_of(self, identity: str, source: str) -> str | None:
        """The receive section that carries this source of this person now."""
        return next(
            (mid for mid, track in self._slots.items() if self._tracks.get(track or "") == (identity, source)), None
        )

    async def sees_and_hears(self, identity: str, within: float = 10.0) -> None:
        """Wait until pictures and sound of this person arrive, one after another."""
        await self._gains(self.frames, identity, "camera", within)
        await self._gains(self.energy, identity, "microphone", within)

    async def _gains(self, amounts: Mapping[str, float], identity: str, source: str, within: float) -> None:
        seen: list[float] = []

        def growing() -> bool:
            mid = self.mid_of(identity, source)
            if mid:
                seen.append(amounts.get(mid, 0))
            return len(seen) > 1 and seen[-1] > seen[0]

        await eventually(growing, within)

    async def _offer(self, receive: Mapping[str, int]) -> None:
        async with self._offering:
            transceivers = self.connection.getTransceivers()
            for kind in ("audio", "video"):
                present = sum(t.kind == kind and t.direction == "recvonly" for t in transceivers)
                for _ in range(receive[kind] - present):
                    self.connection.addTransceiver(kind, direction="recvonly")
            await self.connection.setLocalDescription(await self.connection.createOffer())
            tracks = [
                {"mid": t.mid, "source": self._sources[t.kind]}
                for t in self.connection.getTransceivers()
                if t.direction == "sendonly"
            ]
            request = f"offer-{len(self.told)}"
            sdp = self._tamper(self.connection.localDescription.sdp)
            await self._send({"type": "offer", "sdp": sdp, "tracks": tracks, "request": request})
            answer = await self.hears("answer", request=request)
            await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            if not self._has_candidates:
                await self._take_candidates(answer["sdp"])

    async def _take_candidates(self, sdp: str) -> None:
        # aiortc keeps the candidates of a bundle's last section, and only the first has any (RFC 9143 section 7.1.3).
        self._has_candidates = True
        for found in re.findall(r"a=candidate:(.+)", sdp.replace("\r", "")):
            candidate = candidate_from_sdp(found)
            candidate.sdpMid = self.connection.getTransceivers()[0].mid
            await self.connection.addIceCandidate(candidate)
        await self.connection.addIceCandidate(None)

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._socket.send(json.dumps(message))

    async def _listen(self) -> None:
        try:
            async for text in self._socket:
                message = json.loads(text)
                self.told.append(message)
                self._follow(message)
        except ConnectionClosed:
            pass

    def _follow(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "welcome":
                for participant in message["room"]["participants"]:
                    self._arrived(participant)
                self._slots = {slot["mid"]: slot["track"] for slot in message["slots"]}
            case "participant_joined":
                self._arrived(message["participant"])
            case "track_published":
                self._published(message["participant"], message["track"])
            case "slots":
                self._slots = {slot["mid"]: slot["track"] for slot in message["slots"]}
            case "renegotiate":
                self._own(self._offer(message))  # type: ignore[arg-type]

    def _arrived(self, participant: Mapping[str, Any]) -> None:
        self._identities[participant["id"]] = participant["identity"]
        for track in participant["tracks"]:
            self._published(participant["id"], track)

    def _published(self, participant: str, track: Mapping[str, Any]) -> None:
        self._tracks[track["id"]] = (self._identities[participant], track["source"])

    async def _consume(self, track: MediaStreamTrack) -> None:
        mid = next(t.mid for t in self.connection.getTransceivers() if t.receiver.track is track)
        try:
            while True:
                frame = await track.recv()
                self.frames[mid] += 1
                if isinstance(frame, AudioFrame):
                    samples = array("h", bytes(frame.planes[0]))
                    loudness = sum(sample * sample for sample in samples) / len(samples) / 32768**2
                    self.energy[mid] += loudness * frame.samples / frame.sample_rate
        except MediaStreamError:
            pass

    def _own(self, work: Any) -> None:
        # Not a TaskGroup, which would wrap every failed assertion of a test into a group.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)


@asynccontextmanager
async def independent(
    server: RunningServer, tamper: Callable[[str], str] = lambda sdp: sdp
) -> AsyncIterator[Independent]:
    """An aiortc client with an open socket to `server`; `tamper` changes its offers."""
    # aioice leaves loopback out, which is the one address that every machine has.
    with patch("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]):
        async with server.websocket() as socket, Independent(socket, tamper) as client:
            yield client
