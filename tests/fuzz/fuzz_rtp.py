"""Any bytes are an RTP packet, which packs to bytes that parse to the same packet, or an RtpError."""

from __future__ import annotations

from sfu.rtp import RtpError, pack, parse


def run(data: bytes) -> None:
    try:
        packet = parse(data)
    except RtpError:
        return
    assert 12 + len(packet.payload) + sum(map(len, packet.extensions.values())) <= len(data)
    # What a client could write in the one-byte form; `pack` writes no other.
    if all(1 <= identifier <= 14 and 1 <= len(value) <= 16 for identifier, value in packet.extensions.items()):
        assert parse(pack(packet)) == packet
