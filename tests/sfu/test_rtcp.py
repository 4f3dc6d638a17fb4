"""Promises of the RTCP parser and writers."""

from __future__ import annotations

import contextlib

import pytest
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp

from .hostile import FEW, MANY, U8, U16, U32, U64, datagrams

blocks = st.builds(
    rtcp.ReportBlock,
    ssrc=U32,
    fraction_lost=U8,
    packets_lost=st.integers(-0x800000, 0x7FFFFF),
    highest_sequence=U32,
    jitter=U32,
    last_sr=U32,
    delay_since_last_sr=U32,
)
some_blocks = st.lists(blocks, max_size=31).map(tuple)
sender_reports = st.builds(
    rtcp.SenderReport, ssrc=U32, ntp=U64, timestamp=U32, packets=U32, octets=U32, reports=some_blocks
)

BLOCK = rtcp.ReportBlock(2, 51, -3, 0x10005, 7, 0xB7052000, 0x00054000)
SAMPLES = [
    rtcp.sender_report(rtcp.SenderReport(1, 2 << 32, 3, 4, 5, (BLOCK,))) + rtcp.source_description(1, "someone"),
    rtcp.receiver_report(1, (BLOCK, BLOCK)),
    rtcp.nack(1, 2, [3, 4, 30, 65535, 2]),
    rtcp.picture_loss_indication(1, 2) + rtcp.bye([1, 2, 3]),
    rtcp.transport_feedback(1, 2, bytes(12)),
    bytes.fromhex("84ce0004 00000001 00000000 00000007 05000000 00000008 06000000")[:20],
]


@FEW
@given(sender_reports)
def test_a_sender_report_survives_the_round_trip(report: rtcp.SenderReport) -> None:
    assert rtcp.parse(rtcp.sender_report(report)) == [report]


@FEW
@given(U32, some_blocks)
def test_a_receiver_report_survives_the_round_trip(ssrc: int, reports: tuple[rtcp.ReportBlock, ...]) -> None:
    assert rtcp.parse(rtcp.receiver_report(ssrc, reports)) == [rtcp.ReceiverReport(ssrc, reports)]


def test_the_counters_of_a_sender_report_wrap_after_four_gibibytes() -> None:
    report = rtcp.SenderReport(1, 2, 3, (1 << 32) + 4, (5 << 32) + 6)
    assert rtcp.parse(rtcp.sender_report(report)) == [rtcp.SenderReport(1, 2, 3, 4, 6)]


def test_lost_packets_are_a_signed_24_bit_number() -> None:
    data = bytes.fromhex("81c90007 00000001 00000002 33fffffd 00010005 00000007 b7052000 00054000")
    assert rtcp.parse(data) == [rtcp.ReceiverReport(1, (BLOCK,))]
    assert rtcp.receiver_report(1, (BLOCK,)) == data


# ------------------------------------------------------------------------------------------------------------ NACK


def test_a_nack_names_a_packet_and_by_a_mask_the_sixteen_after_it() -> None:
    data = bytes.fromhex("81cd0003 00000001 00000002 fff08001")
    assert rtcp.parse(data) == [rtcp.Nack(1, 2, (0xFFF0, 0xFFF1, 0x0000))]
    assert rtcp.nack(1, 2, [0xFFF0, 0xFFF1, 0x0000]) == data


@MANY
@given(U16, st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_what_is_asked_for_is_what_is_understood_across_the_wrap(first: int, steps: list[int]) -> None:
    sequences = [first]
    for step in steps:
        sequences.append((sequences[-1] + step) & 0xFFFF)
    (nack,) = rtcp.parse(rtcp.nack(7, 8, sequences))
    assert nack == rtcp.Nack(7, 8, tuple(sequences))


@FEW
@given(st.lists(U16, max_size=50))
def test_no_number_is_left_out_of_a_nack_even_if_the_numbers_come_in_any_order(sequences: list[int]) -> None:
    (nack,) = rtcp.parse(rtcp.nack(7, 8, sequences))
    assert isinstance(nack, rtcp.Nack)
    assert set(nack.sequences) == set(sequences)


def test_seventeen_packets_in_a_row_take_one_entry_of_a_nack() -> None:
    assert len(rtcp.nack(1, 2, range(17))) == 16
    assert len(rtcp.nack(1, 2, range(18))) == 20


# ------------------------------------------------------------------------------------------------------ the others


def test_pli_and_fir_are_keyframe_requests() -> None:
    assert rtcp.parse(rtcp.picture_loss_indication(1, 2)) == [rtcp.KeyframeRequest(1, (2,))]
    fir = bytes.fromhex("84ce0006 00000001 00000000 00000007 05000000 00000008 06000000")
    assert rtcp.parse(fir) == [rtcp.KeyframeRequest(1, (7, 8))]


def test_transport_feedback_is_handed_over_unparsed() -> None:
    assert rtcp.parse(rtcp.transport_feedback(1, 2, b"12345678")) == [rtcp.TransportFeedback(1, 2, b"12345678")]


def test_a_compound_packet_gives_what_we_use_in_order() -> None:
    unknown = bytes.fromhex("80cc0001 00000001") + bytes.fromhex("8fce0002 00000001 00000002")
    data = rtcp.receiver_report(1, ()) + rtcp.source_description(1, "x") + unknown + rtcp.bye([1, 2])
    assert rtcp.parse(data) == [rtcp.ReceiverReport(1, ()), rtcp.Bye((1, 2))]


def test_padding_is_no_content() -> None:
    data = bytes.fromhex("a1cd0004 00000001 00000002 00050000 00000004")
    assert rtcp.parse(data) == [rtcp.Nack(1, 2, (5,))]


@FEW
@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=40))
def test_a_source_description_ends_on_a_word_boundary_with_a_null(cname: str) -> None:
    data = rtcp.source_description(9, cname)
    assert len(data) == 4 * (int.from_bytes(data[2:4], "big") + 1)
    assert data[-1] == 0
    assert data[8:].startswith(bytes([1, len(cname)]) + cname.encode())


@pytest.mark.parametrize(
    "data",
    [
        "80",
        "80c900",
        "00c90001 00000001",  # version 0
        "80c90002 00000001",  # longer than the datagram
        "81c90001 00000001",  # a block is missing
        "80c80001 00000001",  # an SR without its sender info
        "83cb0002 00000001 00000002",  # a BYE of three sources
        "81cd0001 00000001",
        "81ce0001 00000001",
        "84ce0000",
        "84ce0003 00000001 00000000 00000007",  # half a FIR entry
        "a0c90000",
        "a0c90001 00000000",  # no padding said to be there
        "a0c90001 00000009",  # more padding than packet
        "a1cd0003 00000001 00000002 00000001",  # a quarter of a NACK entry
    ],
)
def test_a_broken_packet_is_an_rtcp_error(data: str) -> None:
    with pytest.raises(rtcp.RtcpError):
        rtcp.parse(bytes.fromhex(data))


@MANY
@given(datagrams(SAMPLES))
def test_any_bytes_are_parsed_or_an_rtcp_error(data: bytes) -> None:
    with contextlib.suppress(rtcp.RtcpError):
        rtcp.parse(data)


def test_the_longest_nack_that_fits_into_a_datagram_asks_for_a_bounded_number() -> None:
    (nack,) = rtcp.parse(rtcp.nack(1, 2, [0])[:2] + b"\x01\x72" + bytes(8) + b"\0\0\xff\xff" * 368)
    assert isinstance(nack, rtcp.Nack)
    assert len(nack.sequences) == 17 * 368


def test_aiortc_understands_what_we_write() -> None:
    data = SAMPLES[0] + rtcp.nack(1, 2, [3, 4, 30]) + rtcp.picture_loss_indication(1, 2) + rtcp.bye([1])
    sr, _sdes, nack, pli, bye = RtcpPacket.parse(data)
    assert isinstance(sr, RtcpSrPacket)
    assert (sr.ssrc, sr.sender_info.ntp_timestamp, sr.sender_info.octet_count) == (1, 2 << 32, 5)
    assert (sr.reports[0].packets_lost, sr.reports[0].lsr) == (BLOCK.packets_lost, BLOCK.last_sr)
    assert isinstance(nack, RtcpRtpfbPacket)
    assert nack.lost == [3, 4, 30]
    assert isinstance(pli, RtcpPsfbPacket)
    assert (pli.fmt, pli.media_ssrc) == (1, 2)
    assert isinstance(bye, RtcpByePacket)
    assert bye.sources == [1]
