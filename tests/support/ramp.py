"""How fast a video grows: size and bitrate of what a page receives, second by second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .browser import Page, Stream, bitrate, received


@dataclass(frozen=True)
class Sample:
    """What was received in one second, `at` seconds after watching began."""

    at: float
    size: tuple[int, int]
    bitrate: float  # bits per second

    @property
    def pixels(self) -> int:
        """The area of one frame."""
        return self.size[0] * self.size[1]


async def watch(page: Page, seconds: float) -> list[Sample]:
    """Look once a second at the fastest video stream that `page` receives. Seconds without video have no sample."""
    samples: list[Sample] = []
    before: dict[int, Stream] = {}
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + seconds:
        now = {stream.ssrc: stream for stream in await received(page, "video")}
        rates = {ssrc: bitrate(before[ssrc], stream) for ssrc, stream in now.items() if ssrc in before}
        if rates:
            fastest = max(rates, key=lambda ssrc: rates[ssrc])
            samples.append(Sample(loop.time() - began, now[fastest].size, rates[fastest]))
        before = now
        await asyncio.sleep(1)
    return samples


def reaches(samples: Sequence[Sample], goal: Sample, share: float = 0.9) -> float | None:
    """When the video first had `share` of the goal's size and bitrate, in seconds; None if it never had."""
    return next(
        (s.at for s in samples if s.pixels >= share * goal.pixels and s.bitrate >= share * goal.bitrate),
        None,
    )
