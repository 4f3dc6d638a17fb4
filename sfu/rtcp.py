"""RTCP: the reports and requests that we understand and send (RFC 3550 section 6, RFC 4585, RFC 5104)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
RTPFB_NACK, RTPFB_TRANSPORT_CC = 1, 15
PSFB_PLI, PSFB_FIR, PSFB_APPLICATION = 1, 4, 15


class RtcpError(Exception):
    """The bytes are no compound RTCP packet."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source arrives (RFC 3550 section 6.4.1). `fraction_lost` is in 1/256, `jitter` in timestamp units,
    `last_sr` is the middle 32 bits of an NTP time and `delay_since_last_sr` in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source has sent, and which RTP timestamp belongs to which NTP time (64-bit fixed point, seconds)."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """How the sources of somebody who sends nothing himself arrive."""

    ssrc: int
    reports: tuple[ReportBlock, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK (RFC 4585 section 6.2.1): sequence numbers of `media_ssrc` that did not arrive."""

    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI (RFC 4585 section 6.3.1) or FIR (RFC 5104 section 4.3.1), which we treat alike."""

    sender_ssrc: int
    media_ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """A transport-wide congestion control message, body unparsed; sfu.transport_cc knows its inside."""

    sender_ssrc: int
    media_ssrc: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that end."""

    ssrcs: tuple[int, ...]


Rtcp = SenderReport | ReceiverReport | Nack | KeyframeRequest | TransportFeedback | Bye


def parse(data: bytes) -> list[Rtcp]:
    """Parse a decrypted compound packet; types that we do not use are passed over. Raises RtcpError only."""
    found: list[Rtcp] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise RtcpError("a packet ends inside its header")
        first, packet_type, words = struct.unpack_from("!BBH", data, at)
        if first >> 6 != 2:
            raise RtcpError(f"RTCP version {first >> 6}")
        end = at + 4 * (words + 1)
        if end > len(data):
            raise RtcpError(f"a packet of type {packet_type} is longer than the datagram")
        body = data[at + 4 : end]
        if first & 0x20:
            # RFC 3550 section 6.4.1: the last octet counts the padding, "including itself (it will be a multiple
            # of four)".
            if not body or body[-1] == 0 or body[-1] > len(body):
                raise RtcpError("bad padding")
            body = body[: -body[-1]]
        item = _parse_one(packet_type, first & 0x1F, body)
        if item is not None:
            found.append(item)
        at = end
    return found


def _parse_one(packet_type: int, count: int, body: bytes) -> Rtcp | None:
    try:
        if packet_type == SR:
            ssrc, ntp, timestamp, packets, octets = struct.unpack_from("!IQIII", body)
            return SenderReport(ssrc, ntp, timestamp, packets, octets, _parse_blocks(body, 24, count))
        if packet_type == RR:
            (ssrc,) = struct.unpack_from("!I", body)
            return ReceiverReport(ssrc, _parse_blocks(body, 4, count))
        if packet_type == BYE:
            return Bye(struct.unpack_from(f"!{count}I", body))
        if packet_type == RTPFB and count == RTPFB_NACK:
            sender, media = struct.unpack_from("!II", body)
            return Nack(sender, media, _parse_nack(body[8:]))
        if packet_type == RTPFB and count == RTPFB_TRANSPORT_CC:
            sender, media = struct.unpack_from("!II", body)
            return TransportFeedback(sender, media, body[8:])
        if packet_type == PSFB and count == PSFB_PLI:
            sender, media = struct.unpack_from("!II", body)
            return KeyframeRequest(sender, (media,))
        if packet_type == PSFB and count == PSFB_FIR:
            (sender,) = struct.unpack_from("!I", body)
            return KeyframeRequest(sender, tuple(ssrc for ssrc, _ in struct.iter_unpack("!II", body[8:])))
    except struct.error as error:
        raise RtcpError(f"a packet of type {packet_type} is too short: {error}") from None
    return None


def _parse_blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for start in range(at, at + 24 * count, 24):
        ssrc, lost, highest, jitter, last_sr, delay = struct.unpack_from("!IIIIII", body, start)
        cumulative = lost & 0xFFFFFF
        # "the number of packets lost ... may be negative": a signed 24-bit number.
        signed = cumulative - (1 << 24 if cumulative & 0x800000 else 0)
        blocks.append(ReportBlock(ssrc, lost >> 24, signed, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_nack(body: bytes) -> tuple[int, ...]:
    sequences: list[int] = []
    for first, mask in struct.iter_unpack("!HH", body):
        sequences.append(first)
        if mask:
            sequences.extend((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return tuple(sequences)


# --------------------------------------------------------------------------------------------------------- writing


def _packet(packet_type: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def _pack_blocks(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        struct.pack(
            "!IIIIII",
            report.ssrc,
            report.fraction_lost << 24 | report.packets_lost & 0xFFFFFF,
            report.highest_sequence & 0xFFFFFFFF,
            report.jitter & 0xFFFFFFFF,
            report.last_sr,
            report.delay_since_last_sr & 0xFFFFFFFF,
        )
        for report in reports
    )


def sender_report(report: SenderReport) -> bytes:
    """An SR; at most 31 report blocks. The counters wrap: video at 1 Mbit/s passes 4 GiB in ten hours."""
    packets, octets = report.packets & 0xFFFFFFFF, report.octets & 0xFFFFFFFF
    head = struct.pack("!IQIII", report.ssrc, report.ntp, report.timestamp, packets, octets)
    return _packet(SR, len(report.reports), head + _pack_blocks(report.reports))


def receiver_report(ssrc: int, reports: Sequence[ReportBlock]) -> bytes:
    """An RR; at most 31 report blocks."""
    return _packet(RR, len(reports), struct.pack("!I", ssrc) + _pack_blocks(reports))


def source_description(ssrc: int, cname: str) -> bytes:
    """An SDES with one CNAME, which RFC 3550 section 6.1 wants in each compound packet."""
    text = cname.encode()
    chunk = struct.pack("!IBB", ssrc, 1, len(text)) + text + b"\0"
    return _packet(SDES, 1, chunk + bytes(-len(chunk) % 4))


def nack(sender_ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """A generic NACK for 16-bit `sequences`, given in ascending order of age."""
    entries: list[list[int]] = []
    for sequence in sequences:
        distance = (sequence - entries[-1][0]) & 0xFFFF if entries else 0
        if entries and 1 <= distance <= 16:
            entries[-1][1] |= 1 << (distance - 1)
        else:
            entries.append([sequence, 0])
    body = b"".join(struct.pack("!HH", *entry) for entry in entries)
    return _packet(RTPFB, RTPFB_NACK, struct.pack("!II", sender_ssrc, media_ssrc) + body)


def picture_loss_indication(sender_ssrc: int, media_ssrc: int) -> bytes:
    """A PLI: please send a keyframe of `media_ssrc`."""
    return _packet(PSFB, PSFB_PLI, struct.pack("!II", sender_ssrc, media_ssrc))


def transport_feedback(sender_ssrc: int, media_ssrc: int, body: bytes) -> bytes:
    """A transport-wide congestion control message around a body from sfu.transport_cc."""
    return _packet(RTPFB, RTPFB_TRANSPORT_CC, struct.pack("!II", sender_ssrc, media_ssrc) + body)


def bye(ssrcs: Sequence[int]) -> bytes:
    """A BYE; at most 31 sources."""
    return _packet(BYE, len(ssrcs), struct.pack(f"!{len(ssrcs)}I", *ssrcs))
