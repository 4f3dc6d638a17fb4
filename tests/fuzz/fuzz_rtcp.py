"""Any bytes are a compound RTCP packet, whose parts can be written and read again, or an RtcpError."""

from __future__ import annotations

from sfu import rtcp


def run(data: bytes) -> None:
    try:
        items = rtcp.parse(data)
    except rtcp.RtcpError:
        return
    assert 4 * len(items) <= len(data)
    for item in items:
        match item:
            case rtcp.SenderReport():
                assert rtcp.parse(rtcp.sender_report(item)) == [item]
            case rtcp.ReceiverReport():
                assert rtcp.parse(rtcp.receiver_report(item.ssrc, item.reports)) == [item]
            case rtcp.Nack():
                (again,) = rtcp.parse(rtcp.nack(item.sender_ssrc, item.media_ssrc, item.sequences))
                assert isinstance(again, rtcp.Nack)
                assert set(again.sequences) == set(item.sequences)
                assert len(item.sequences) <= 17 * len(data) // 4
            case rtcp.KeyframeRequest():
                assert 8 * len(item.media_ssrcs) <= len(data)
            case rtcp.TransportFeedback():
                again = rtcp.transport_feedback(item.sender_ssrc, item.media_ssrc, item.body)
                assert len(item.body) % 4 or rtcp.parse(again) == [item]
            case rtcp.Bye():
                assert rtcp.parse(rtcp.bye(item.ssrcs)) == [item]
