"""An outgoing stream numbers, repairs and reports its packets as RTP demands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.media import Payload
from loadtest.stream import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC, OutgoingStream, StreamFormat
from sfu import rtcp, rtp

FORMAT = StreamFormat("m1", 1000, 96, 90_000, {MID: 4, TRANSPORT_WIDE_CC: 5, AUDIO_LEVEL: 6}, 2000, 97)


def payload(number: int = 0) -> Payload:
    return Payload(b"body%d" % number, 3000 * number, 0x80, b"\x85")


def sent(stream: OutgoingStream, count: int) -> list[rtp.Packet]:
    return [rtp.parse(stream.packet(payload(n), 7 + n, 10.0)) for n in range(count)]


def test_packets_are_numbered_across_the_wrap_and_carry_what_was_settled() -> None:
    first, *others = sent(OutgoingStream(FORMAT, sequence=65534), 4)
    assert first == rtp.Packet(0x80, 96, 65534, 0, 1000, {4: b"m1", 5: b"\0\x07", 6: b"\x85"}, b"body0")
    assert [packet.sequence for packet in others] == [65535, 0, 1]
    assert [packet.timestamp for packet in others] == [3000, 6000, 9000]


def test_the_number_of_the_whole_transport_wraps() -> None:
    data = OutgoingStream(FORMAT, sequence=0).packet(payload(), 65536 + 3, 10.0)
    assert rtp.parse(data).extensions[5] == b"\0\x03"


def test_extensions_that_were_not_accepted_are_left_out() -> None:
    stream = OutgoingStream(replace(FORMAT, extensions={}), sequence=0)
    assert sent(stream, 1)[0].extensions == {}
    stream = OutgoingStream(FORMAT, sequence=0)
    assert set(rtp.parse(stream.packet(payload()._replace(level=b""), 1, 10.0)).extensions) == {4, 5}


def test_a_repair_names_the_original_and_has_numbers_of_its_own() -> None:
    stream = OutgoingStream(FORMAT, sequence=65535)
    originals = sent(stream, 3)
    repairs = [stream.retransmission(sequence, 50) for sequence in (0, 65535)]
    for own, (data, original) in enumerate(zip(repairs, (originals[1], originals[0]), strict=True)):
        assert data is not None
        repair = rtp.parse(data)
        assert (repair.payload_type, repair.ssrc, repair.sequence) == (97, 2000, own)
        assert repair.payload == original.sequence.to_bytes(2, "big") + original.payload
        assert (repair.timestamp, repair.marker) == (original.timestamp, original.marker)
        assert repair.extensions == {**original.extensions, 5: b"\0\x32"}
    assert stream.retransmitted == 2
    assert stream.packets == 3


def test_only_the_latest_512_packets_can_be_repaired() -> None:
    stream = OutgoingStream(FORMAT, sequence=65000)
    for number in range(600):
        stream.packet(payload(number), number, 10.0)
    kept = [number for number in range(600) if stream.retransmission((65000 + number) & 0xFFFF, 0) is not None]
    assert kept == list(range(88, 600))


@pytest.mark.parametrize("settled", [replace(FORMAT, rtx_ssrc=None), replace(FORMAT, rtx_payload_type=None)])
def test_without_rtx_nothing_is_repaired(settled: StreamFormat) -> None:
    stream = OutgoingStream(settled, sequence=1)
    sent(stream, 1)
    assert stream.retransmission(1, 1) is None
    assert stream.retransmitted == 0


def test_a_sender_report_extrapolates_the_timestamp_to_its_time() -> None:
    stream = OutgoingStream(FORMAT, sequence=0)
    sent(stream, 3)
    (report,) = rtcp.parse(stream.sender_report(10.5, 0.25))
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (1000, 3, 15)
    assert report.timestamp == 6000 + 45_000
    assert report.ntp == (2_208_988_800 << 32) + (1 << 30)  # 70 years between 1900 and 1970


def test_a_timestamp_that_wraps_is_reported_wrapped() -> None:
    stream = OutgoingStream(FORMAT, sequence=0)
    stream.packet(payload()._replace(timestamp=0xFFFFFFFF), 0, 10.0)
    (report,) = rtcp.parse(stream.sender_report(11.0, 0.0))
    assert isinstance(report, rtcp.SenderReport)
    assert report.timestamp == 89_999
