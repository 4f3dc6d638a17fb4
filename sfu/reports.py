"""Reception statistics of one source and the clock that reports are written in (RFC 3550 sections 4 and 6.4)."""

from __future__ import annotations

from collections import deque

from .rtcp import ReportBlock, SenderReport

# More sender reports find a smaller delay, fewer follow a clock that drifts: 64 are one minute of audio and video,
# in which two clocks of 50 ppm part by 3 ms.
_OFFSETS = 64
_NTP_EPOCH_OFFSET = 2_208_988_800  # seconds from 1900 to 1970


def to_ntp(seconds: float) -> int:
    """Seconds since 1970 as the 64-bit fixed point NTP time of RFC 3550 section 4."""
    return int((seconds + _NTP_EPOCH_OFFSET) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def from_ntp(ntp: int) -> float:
    """The inverse of `to_ntp`."""
    return ntp / (1 << 32) - _NTP_EPOCH_OFFSET


def round_trip(block: ReportBlock, now_ntp: int) -> float | None:
    """Seconds there and back from a report on our own SR (RFC 3550 section 6.4.1); None without one to refer to."""
    if block.last_sr == 0:
        return None
    elapsed = (now_ntp >> 16 & 0xFFFFFFFF) - block.last_sr - block.delay_since_last_sr
    seconds = (elapsed & 0xFFFFFFFF) / 65536
    return seconds if seconds < 60 else None  # a clock went backwards, or the report is made up


class Reception:
    """Loss and jitter of one incoming source. Sequence numbers are extended ones, times in seconds."""

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._first = -1
        self._highest = -1
        self.received = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit: float | None = None
        self.jitter = 0.0  # seconds
        self._last_sr = 0
        self._last_sr_at = 0.0

    def packet(self, index: int, timestamp: int, now: float) -> None:
        """Count a packet (RFC 3550 Appendix A.8 for the jitter)."""
        if self._first < 0:
            self._first = index
        self.received += 1
        if index <= self._highest:
            return
        self._highest = index
        transit = now - timestamp / self._clock_rate
        if self._transit is not None:
            difference = abs(transit - self._transit)
            if difference < 5:  # the timestamp wrapped or jumped: no measurement
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Remember when the source's SR came, so that it can measure its round trip."""
        self._last_sr = report.ntp >> 16 & 0xFFFFFFFF
        self._last_sr_at = now

    def block(self, ssrc: int, now: float) -> ReportBlock | None:
        """The report since the last call (RFC 3550 Appendix A.3), None before the first packet."""
        if self._first < 0:
            return None
        expected = self._highest - self._first + 1
        expected_interval = expected - self._expected_before
        lost_interval = expected_interval - (self.received - self._received_before)
        self._expected_before = expected
        self._received_before = self.received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min(255, (lost_interval << 8) // expected_interval)
        delay = int((now - self._last_sr_at) * 65536) if self._last_sr else 0
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=fraction,
            packets_lost=max(-0x800000, min(expected - self.received, 0x7FFFFF)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self.jitter * self._clock_rate),
            last_sr=self._last_sr,
            delay_since_last_sr=delay,
        )


class RemoteClock:
    """How a publisher's NTP clock relates to ours, so that its tracks keep their sync and all share one clock.

    One per publisher: audio and video use the same offset, or lips would move apart. Senders' clocks are unrelated
    to each other, and a receiver may sync tracks of different publishers in one stream; in our clock that is right.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_OFFSETS)

    def to_local(self, remote_ntp: int, arrival: float) -> float:
        """Our time, in seconds since 1970, of a remote NTP time in an SR that arrived at `arrival` (ours too).

        The least transit of late is taken as the offset, since delay only ever adds; of late, since clocks drift.
        A clock that was set anew (by more than two seconds) starts over.
        """
        offset = arrival - from_ntp(remote_ntp)
        if self._offsets and abs(offset - min(self._offsets)) > 2:
            self._offsets.clear()
        self._offsets.append(offset)
        return from_ntp(remote_ntp) + min(self._offsets)
