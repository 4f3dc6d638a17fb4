"""RTP headers: parsed once per incoming packet, and written anew for each receiver (RFC 3550 section 5.1, RFC 8285)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

FIXED_HEADER = struct.Struct("!BBHII")
pack_fixed_header = FIXED_HEADER.pack
unpack_fixed_header = FIXED_HEADER.unpack_from

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the low four bits ("appbits") are the application's


class RtpError(Exception):
    """The bytes are no RTP packet that we can forward."""


class Packet(NamedTuple):
    """What the forwarder needs to know of one packet. `marker` is 0x80 or 0; `payload` has no padding."""

    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extensions: dict[int, bytes]
    payload: bytes


_NO_EXTENSIONS: dict[int, bytes] = {}


def is_rtcp(datagram: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 section 4: packet types 192 to 223). Needs two bytes."""
    return 192 <= datagram[1] <= 223


def parse(data: bytes) -> Packet:
    """Parse a decrypted RTP packet. Raises RtpError, and nothing else."""
    size = len(data)
    if size < 12:
        raise RtpError(f"{size} bytes are too few for an RTP header")
    first, second, sequence, timestamp, ssrc = unpack_fixed_header(data)
    if first >> 6 != 2:
        raise RtpError(f"RTP version {first >> 6}")
    start = 12 + 4 * (first & 0x0F)
    extensions = _NO_EXTENSIONS
    if first & 0x10:
        if start + 4 > size:
            raise RtpError("the header ends inside its extension")
        profile = data[start] << 8 | data[start + 1]
        end = start + 4 + 4 * (data[start + 2] << 8 | data[start + 3])
        if end > size:
            raise RtpError("the header extension is longer than the packet")
        extensions = _parse_extensions(data, profile, start + 4, end)
        start = end
    if start > size:
        raise RtpError("the list of contributing sources is longer than the packet")
    if first & 0x20:
        padding = data[-1]
        if padding == 0 or start + padding > size:
            raise RtpError(f"padding of {padding} bytes")
        size -= padding
    return Packet(second & 0x80, second & 0x7F, sequence, timestamp, ssrc, extensions, data[start:size])


def _parse_extensions(data: bytes, profile: int, at: int, end: int) -> dict[int, bytes]:
    """The elements by id. An unknown profile has none that we could name; it is not an error (RFC 3550 5.3.1)."""
    found: dict[int, bytes] = {}
    if profile == ONE_BYTE_PROFILE:
        while at < end:
            head = data[at]
            at += 1
            if head == 0:  # padding
                continue
            identifier = head >> 4
            # RFC 8285 section 4.2: with id 15, and with id 0 and a length, "processing of the entire extension MUST
            # terminate at that point".
            if identifier in (0, 15):
                break
            stop = at + (head & 0x0F) + 1
            if stop > end:
                raise RtpError(f"header extension element {identifier} is longer than the extension")
            found[identifier] = data[at:stop]
            at = stop
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while at < end:
            identifier = data[at]
            at += 1
            if identifier == 0:
                continue
            if at >= end:
                raise RtpError("a header extension element has no length")
            stop = at + 1 + data[at]
            if stop > end:
                raise RtpError(f"header extension element {identifier} is longer than the extension")
            found[identifier] = data[at + 1 : stop]
            at = stop
    return found


def pack_extensions(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """The extension part of a header, profile and padding included; b"" for no elements.

    Elements are (id 1..14, 1 to 16 bytes): what the one-byte form of RFC 8285 section 4.2 carries.
    """
    body = b"".join(bytes([identifier << 4 | len(value) - 1]) + value for identifier, value in elements)
    if not body:
        return b""
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", ONE_BYTE_PROFILE, len(body) // 4) + body


def pack(packet: Packet) -> bytes:
    """The bytes of a packet; the inverse of `parse` for packets without padding, for clients and tests."""
    extensions = pack_extensions(packet.extensions.items())
    return (
        pack_fixed_header(
            0x90 if extensions else 0x80,
            packet.marker | packet.payload_type,
            packet.sequence,
            packet.timestamp,
            packet.ssrc,
        )
        + extensions
        + packet.payload
    )
