"""What a member asks for beyond its budgets is dropped and counted; what is within them goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfu import rtcp, rtp
from sfu.budgets import KEYFRAME_REQUESTS, RESTARTS, RTCP_BYTES_PER_SECOND, RTCP_PACKETS_PER_SECOND
from sfu.codecs import VP8
from sfu.rtp import Packet

from .media import VP9, track_of, video
from .test_hostile import Connected

MANY = int(KEYFRAME_REQUESTS.burst) + 72
AGAIN = int(RESTARTS.burst) + 3


def use_up(connected: Connected, plain: bytes) -> None:
    """Send RTCP until some of it is dropped."""
    while not connected.counters.dropped["rtcp_rate"]:
        connected.arrive(connected.far.protect_rtcp(plain))


@pytest.mark.parametrize(
    ("asked", "per_second"),
    [([7], RTCP_PACKETS_PER_SECOND), (range(0, 17 * 300, 17), RTCP_BYTES_PER_SECOND // (12 + 4 * 300 + 4 + 16))],
    ids=["in packets", "in bytes"],
)
def test_rtcp_is_read_at_its_rate_and_no_faster(asked: list[int], per_second: int) -> None:
    connected = Connected()
    nack = rtcp.nack(1, 5000, asked)
    use_up(connected, nack)
    read, dropped = connected.counters.nacks_received, connected.counters.dropped["rtcp_rate"]
    assert per_second <= read <= 2 * per_second + 1
    connected.now += 0.5
    for _ in range(per_second):
        connected.arrive(connected.far.protect_rtcp(nack))
    passed = connected.counters.nacks_received - read
    assert passed == pytest.approx(per_second / 2, abs=2)
    assert connected.counters.dropped["rtcp_rate"] - dropped == per_second - passed


def test_who_sends_too_much_rtcp_still_publishes() -> None:
    connected = Connected()
    use_up(connected, rtcp.picture_loss_indication(1, 1))
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(1, key=True))))
    assert connected.camera.is_newest(2)
    assert not connected.camera.is_newest(1)
    assert "publish_rate" not in connected.counters.dropped


def asking(connected: Connected) -> list[float]:
    """Somebody's video in the slot; grows by one with each keyframe that the receiver gets through to it."""
    wanted: list[float] = []
    track = track_of()
    track.want_keyframe = wanted.append  # type: ignore[method-assign]
    connected.slot.track = track
    return wanted


def test_a_receiver_gets_so_many_keyframe_requests_through_and_the_others_are_refused() -> None:
    connected = Connected()
    wanted = asking(connected)
    pli = rtcp.picture_loss_indication(1, 5000)
    for _ in range(MANY):
        connected.arrive(connected.far.protect_rtcp(pli))
    assert len(wanted) == KEYFRAME_REQUESTS.burst
    assert connected.counters.refused["keyframe_request"] == MANY - len(wanted)
    assert not connected.counters.dropped["rtcp_rate"]
    connected.now += 1.0
    for _ in range(MANY):
        connected.arrive(connected.far.protect_rtcp(pli))
    assert len(wanted) == KEYFRAME_REQUESTS.burst + KEYFRAME_REQUESTS.per_second


def test_a_request_that_names_many_streams_counts_for_each_and_is_read_to_the_eighth() -> None:
    connected = Connected()
    wanted = asking(connected)
    entries = b"".join((5000).to_bytes(4, "big") + bytes([number, 0, 0, 0]) for number in range(100))
    fir = bytes([0x84, 206]) + (2 + len(entries) // 4).to_bytes(2, "big") + bytes(8) + entries
    for _ in range(20):
        connected.arrive(connected.far.protect_rtcp(fir))
    assert len(wanted) == KEYFRAME_REQUESTS.burst
    assert connected.counters.refused["keyframe_request"] == 20 * 8 - len(wanted)


def test_requests_for_streams_that_are_not_there_use_up_the_budget_too() -> None:
    connected = Connected()
    wanted = asking(connected)
    for _ in range(MANY):
        connected.arrive(connected.far.protect_rtcp(rtcp.picture_loss_indication(1, 4711)))
    connected.arrive(connected.far.protect_rtcp(rtcp.picture_loss_indication(1, 5000)))
    assert wanted == []


def another_source(_: Connected, time: int) -> Packet:
    return video(1)._replace(ssrc=100 + time)


def a_jump_of_its_numbers(_: Connected, time: int) -> Packet:
    return video(5000 * (time + 1))


def another_codec(connected: Connected, time: int) -> Packet:
    return video(1 + time)._replace(payload_type=98 if connected.camera.codec == VP8 else 96)


@pytest.mark.parametrize("anew", [another_source, a_jump_of_its_numbers, another_codec])
def test_a_track_begins_anew_so_often_and_no_oftener(anew: Callable[[Connected, int], Packet]) -> None:
    connected = Connected()
    connected.peer.published["v"].formats = {96: VP8, 98: VP9}
    begun: list[int] = []
    hold = connected.camera.hold
    connected.camera.hold = lambda now: (begun.append(1), hold(now))[1]  # type: ignore[method-assign]
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(0, key=True))))
    for time in range(AGAIN):
        connected.arrive(connected.far.protect_rtp(rtp.pack(anew(connected, time))))
    assert len(begun) == RESTARTS.burst
    assert connected.counters.dropped == {"source_restarts": AGAIN - len(begun)}
    connected.now += 1.0
    for time in range(AGAIN, 2 * AGAIN):
        connected.arrive(connected.far.protect_rtp(rtp.pack(anew(connected, time))))
    assert len(begun) == RESTARTS.burst + RESTARTS.per_second


def test_a_track_that_may_not_begin_anew_goes_on_as_it_was() -> None:
    connected = Connected()
    for time in range(AGAIN):
        connected.arrive(connected.far.protect_rtp(rtp.pack(another_source(connected, time))))
    assert connected.counters.dropped["source_restarts"]
    dropped = dict(connected.counters.dropped)
    running = connected.camera.ssrc
    connected.arrive(connected.far.protect_rtp(rtp.pack(video(2)._replace(ssrc=running))))
    assert connected.counters.dropped == dropped
    assert not connected.camera.is_newest(2)
