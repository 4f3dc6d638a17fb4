"""What a test may ask of a page in any browser, and how the media of its calls is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .waiting import eventually

MEASURE = Path(__file__).with_name("measure.js").read_text()
CAMERA_AND_MICROPHONE = {"audio": True, "video": {"width": 1280, "height": 720, "frameRate": 30}}


class Page(Protocol):
    """One page in one browser profile of its own."""

    @property
    def console(self) -> Sequence[str]:
        """What the page wrote to its console, errors included, oldest first."""

    async def goto(self, url: str) -> None:
        """Load `url` and wait until it is loaded."""

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """Call the JavaScript function `script` with `argument` (as JSON) and return what it or its promise gives.

        Raises Exception with the page's error when the function throws.
        """

    async def close(self) -> None:
        """Close the page."""


@dataclass(frozen=True)
class Stream:
    """One RTP stream as the browser's statistics describe it now; see the W3C's webrtc-stats for the names."""

    report: Mapping[str, Any]
    at: float  # seconds, monotonic, when it was read

    @property
    def kind(self) -> str:
        """`audio` or `video`."""
        return str(self.report["kind"])

    @property
    def ssrc(self) -> int:
        """The synchronization source."""
        return int(self.report["ssrc"])

    @property
    def mid(self) -> str | None:
        """The section it belongs to."""
        return self.report.get("mid")

    @property
    def frames(self) -> int:
        """Frames decoded or encoded so far."""
        return int(self.report.get("framesDecoded", self.report.get("framesEncoded", 0)))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels; (0, 0) before the first."""
        return int(self.report.get("frameWidth", 0)), int(self.report.get("frameHeight", 0))

    @property
    def energy(self) -> float:
        """Audio energy received so far; zero for silence."""
        return float(self.report.get("totalAudioEnergy", 0))

    @property
    def bytes(self) -> int:
        """Payload bytes received or sent so far."""
        return int(self.report.get("bytesReceived", self.report.get("bytesSent", 0)))

    @property
    def packets_lost(self) -> int:
        """Packets that never came."""
        return int(self.report.get("packetsLost", 0))


def bitrate(before: Stream, after: Stream) -> float:
    """Bits per second of payload between two looks at one stream, by the browser's own clock."""
    milliseconds = float(after.report["timestamp"]) - float(before.report["timestamp"])
    return 8000 * (after.bytes - before.bytes) / milliseconds


async def received(page: Page, kind: str | None = None) -> list[Stream]:
    """All streams that `page` receives now, in all its connections."""
    return streams(await page.evaluate("() => measure.inbound()"), kind)


async def sent(page: Page, kind: str | None = None) -> list[Stream]:
    """All streams that `page` sends now, in all its connections."""
    return streams(await page.evaluate("() => measure.outbound()"), kind)


def streams(reports: Sequence[Mapping[str, Any]], kind: str | None = None) -> list[Stream]:
    """Statistics reports, read just now, as streams."""
    at = time.monotonic()
    return [Stream(report, at) for report in reports if kind in (None, report["kind"])]


async def sees_and_hears(page: Page, video: int, audio: int, within: float = 10.0) -> None:
    """Wait until exactly `video` streams gain frames and `audio` streams gain energy from one look to the next.

    Raises AssertionError with what is received instead.
    """
    before: dict[tuple[str, int], Stream] = {}

    async def flowing() -> bool:
        nonlocal before
        now = {(stream.kind, stream.ssrc): stream for stream in await received(page)}
        fresh = [stream for key, stream in now.items() if key in before and _gained(before[key], stream)]
        before = now
        kinds = [stream.kind for stream in fresh]
        return kinds.count("video") == video and kinds.count("audio") == audio

    try:
        # Chromium's fake microphone beeps once a second, so looks are further apart than that.
        await eventually(flowing, within, every=1.2)
    except AssertionError:
        what = [f"{s.kind} {s.ssrc}: {s.frames} frames {s.size}, energy {s.energy:.4f}" for s in before.values()]
        raise AssertionError(f"wanted {video} videos and {audio} audios within {within} s, have {what}") from None


def _gained(before: Stream, after: Stream) -> bool:
    return after.frames > before.frames if after.kind == "video" else after.energy > before.energy


async def direct_call(
    one: Page,
    other: Page,
    constraints: Mapping[str, Any] = CAMERA_AND_MICROPHONE,
    max_bitrate: int | None = None,
) -> None:
    """Connect two pages with each other and with no server: the call that ours is compared with.

    `max_bitrate` limits each camera, in bits per second.
    """
    offer = await one.evaluate("(constraints) => measure.directOffer(constraints)", constraints)
    call = {"sdp": offer, "constraints": constraints, "maxBitrate": max_bitrate}
    answer = await other.evaluate("(call) => measure.directAnswer(call)", call)
    await one.evaluate("(call) => measure.directAccept(call)", {"sdp": answer, "maxBitrate": max_bitrate})
