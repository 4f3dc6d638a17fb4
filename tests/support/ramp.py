"""How fast a video grows: size and bitrate of what a page receives, second by second."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

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

    def __str__(self) -> str:
        return f"{self.size[0]}×{self.size[1]} at {self.bitrate / 1000:.0f} kbit/s"


async def watch(page: Page, seconds: float) -> Mapping[int, list[Sample]]:
    """Look once a second at each video stream that `page` receives: SSRC -> its samples, from its second look on."""
    samples: dict[int, list[Sample]] = defaultdict(list)
    before: dict[int, Stream] = {}
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + seconds:
        now = {stream.ssrc: stream for stream in await received(page, "video")}
        for ssrc, stream in now.items():
            if ssrc in before:
                rate = bitrate(before[ssrc], stream)
                samples[ssrc].append(Sample(loop.time() - began, stream.size, rate))
        before = now
        await asyncio.sleep(1)
    return samples


def level(samples: Sequence[Sample], last: int = 5) -> Sample:
    """Where a video has arrived: the median of its last samples, in the size of the very last."""
    return Sample(samples[-1].at, samples[-1].size, median(sample.bitrate for sample in samples[-last:]))


def reaches(samples: Sequence[Sample], goal: Sample, share: float = 0.9) -> float | None:
    """When the video first had `share` of the goal's size and bitrate, in seconds; None if it never had."""
    return next(
        (s.at for s in samples if s.pixels >= share * goal.pixels and s.bitrate >= share * goal.bitrate),
        None,
    )
