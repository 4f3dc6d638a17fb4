"""Promises of the RTP header code."""

from __future__ import annotations

import contextlib
import struct

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtp

from .hostile import FEW, MANY, U8, U16, U32, datagrams

HEADER = bytes.fromhex("80e0 1234 01020304 deadbeef")
ONE_BYTE = bytes.fromhex("90e0 1234 01020304 deadbeef bede 0003 10ff 00 32 0a0b0c 51 beef 0000") + b"payload"
TWO_BYTE = bytes.fromhex("9060 0001 00000000 00000001 1005 0002 0100 00 ff 03 aabbcc") + b"payload"
CSRC_AND_PADDING = bytes.fromhex("a260 0001 00000002 00000003 00000004 00000005 6162 000003")

extension_elements = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=14)
packets = st.builds(
    rtp.Packet,
    marker=st.sampled_from([0, 0x80]),
    payload_type=st.integers(0, 127),
    sequence=U16,
    timestamp=U32,
    ssrc=U32,
    extensions=extension_elements,
    payload=st.binary(max_size=60),
)


def test_the_fixed_header_is_read_field_by_field() -> None:
    assert rtp.parse(HEADER + b"xyz") == (0x80, 96, 0x1234, 0x01020304, 0xDEADBEEF, {}, b"xyz")


def test_one_byte_extensions_are_read_across_padding() -> None:
    packet = rtp.parse(ONE_BYTE)
    assert packet.extensions == {1: b"\xff", 3: b"\x0a\x0b\x0c", 5: b"\xbe\xef"}
    assert packet.payload == b"payload"


def test_two_byte_extensions_may_be_empty_and_have_any_id() -> None:
    packet = rtp.parse(TWO_BYTE)
    assert packet.extensions == {1: b"", 255: b"\xaa\xbb\xcc"}
    assert packet.payload == b"payload"


@pytest.mark.parametrize("stop", ["f0", "02"], ids=["id 15", "id 0 with a length"])
def test_reading_extensions_ends_where_the_rfc_says_so(stop: str) -> None:
    data = HEADER.replace(b"\x80", b"\x90", 1) + bytes.fromhex(f"bede 0002 10aa {stop} 20bb 00 0000") + b"p"
    packet = rtp.parse(data)
    assert packet.extensions == {1: b"\xaa"}
    assert packet.payload == b"p"


def test_an_unknown_extension_profile_is_passed_over() -> None:
    packet = rtp.parse(b"\x90" + HEADER[1:] + bytes.fromhex("abcd 0001 ffffffff") + b"p")
    assert packet.extensions == {}
    assert packet.payload == b"p"


def test_contributing_sources_and_padding_are_no_payload() -> None:
    assert rtp.parse(CSRC_AND_PADDING).payload == b"ab"


def test_a_packet_of_padding_alone_is_a_packet_without_payload() -> None:
    assert rtp.parse(b"\xa0" + HEADER[1:] + bytes(254) + b"\xff").payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:11],
        b"\x40" + HEADER[1:],
        b"\x8f" + HEADER[1:] + bytes(59),
        b"\x90" + HEADER[1:] + bytes(3),
        b"\x90" + HEADER[1:] + bytes.fromhex("bede 0002 00000000"),
        b"\x90" + HEADER[1:] + bytes.fromhex("bede 0001 13aabbcc"),
        b"\x90" + HEADER[1:] + bytes.fromhex("1000 0001 0103aabb"),
        b"\x90" + HEADER[1:] + bytes.fromhex("1000 0001 00000001"),
        b"\xa0" + HEADER[1:] + b"\0",
        b"\xa0" + HEADER[1:] + b"\x02",
        b"\xa0" + HEADER[1:-1] + b"\x10",
    ],
)
def test_a_broken_packet_is_an_rtp_error(data: bytes) -> None:
    with pytest.raises(rtp.RtpError):
        rtp.parse(data)


@MANY
@given(datagrams([HEADER + b"x", ONE_BYTE, TWO_BYTE, CSRC_AND_PADDING]))
def test_any_bytes_are_a_packet_or_an_rtp_error(data: bytes) -> None:
    with contextlib.suppress(rtp.RtpError):
        packet = rtp.parse(data)
        assert packet.marker in (0, 0x80)
        assert packet.payload in data


@MANY
@given(packets)
def test_what_is_packed_is_parsed_again(packet: rtp.Packet) -> None:
    assert rtp.parse(rtp.pack(packet)) == packet


@FEW
@given(packets)
def test_aiortc_reads_the_same_header(packet: rtp.Packet) -> None:
    theirs = RtpPacket.parse(rtp.pack(packet))
    assert (theirs.marker << 7, theirs.payload_type, theirs.sequence_number) == packet[:3]
    assert (theirs.timestamp, theirs.ssrc, theirs.payload) == (packet.timestamp, packet.ssrc, packet.payload)


@FEW
@given(packets, st.lists(U32, max_size=15), st.integers(0, 255))
def test_what_aiortc_writes_is_read(packet: rtp.Packet, sources: list[int], padding: int) -> None:
    theirs = RtpPacket(
        packet.payload_type, packet.marker >> 7, packet.sequence, packet.timestamp, packet.ssrc, packet.payload
    )
    theirs.csrc, theirs.padding_size = sources, padding
    assert rtp.parse(theirs.serialize()) == packet._replace(extensions={})


@FEW
@given(extension_elements)
def test_the_extension_part_of_a_header_is_a_whole_number_of_words(elements: dict[int, bytes]) -> None:
    part = rtp.pack_extensions(elements.items())
    assert (part == b"") == (not elements)
    if part:
        assert struct.unpack_from("!HH", part) == (0xBEDE, len(part) // 4 - 1)
        assert len(part) % 4 == 0


@FEW
@given(U8, U8)
def test_rtcp_is_told_from_rtp_by_its_packet_type(first: int, second: int) -> None:
    # RFC 5761 section 4: payload types 64 to 95 are not used for RTP, so that 192 to 223 are RTCP.
    assert rtp.is_rtcp(bytes([first, second])) == (64 <= (second & 0x7F) < 96 and second >= 128)
