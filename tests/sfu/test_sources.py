"""Whose packet is it? Offers say some, the packets themselves the rest, and what ended is nobody's."""

from __future__ import annotations

import pytest

from sfu.codecs import OPUS, VP8
from sfu.counters import Counters
from sfu.media_plane import TrackId
from sfu.published import Published
from sfu.rtp import Packet
from sfu.sources import MAX_SOURCES, Source, Sources, unwrap_rtx

from .media import audio, track_of, video

MID_ID = 4


class World:
    """A camera in section "1" and a microphone in section "0", of which no offer has named an SSRC."""

    def __init__(self) -> None:
        self.camera = Published(TrackId("camera"), "1", "video", track_of(), {96: VP8}, {97: 96})
        self.microphone = Published(TrackId("microphone"), "0", "audio", track_of("audio"), {111: OPUS}, {}, {63: 111})
        self.counters = Counters()
        self.published = {one.mid: one for one in (self.camera, self.microphone)}
        self.sources = Sources(self.published, self.counters)
        self.sources.mid_id = MID_ID

    def whose(self, packet: Packet, now: float = 0.0) -> Source | None:
        return self.sources.by_ssrc.get(packet.ssrc) or self.sources.resolve(packet, now)


@pytest.fixture
def world() -> World:
    return World()


def named(packet: Packet, mid: bytes, ssrc: int) -> Packet:
    return packet._replace(extensions={MID_ID: mid}, ssrc=ssrc)


def test_what_an_offer_announces_is_known_with_its_retransmissions(world: World) -> None:
    world.sources.announce(world.camera, {10: 11}, 0.0)
    assert world.sources.by_ssrc == {10: Source(world.camera, repairs=False), 11: Source(world.camera, repairs=True)}
    assert world.camera.track.ssrc == 10


def test_of_several_layers_the_first_is_taken(world: World) -> None:
    world.sources.announce(world.camera, {10: 11, 20: 21}, 0.0)
    assert list(world.sources.by_ssrc) == [10, 11]


def test_a_packet_that_names_a_section_belongs_to_it_and_its_ssrc_from_then_on(world: World) -> None:
    assert world.whose(named(video(1), b"1", 10)) == Source(world.camera, repairs=False)
    assert world.whose(named(video(1)._replace(payload_type=97), b"1", 11)) == Source(world.camera, repairs=True)
    assert list(world.sources.by_ssrc) == [10, 11]
    assert world.whose(named(video(1), b"7", 12)) is None
    assert world.counters.dropped == {"unknown_ssrc": 1}


@pytest.mark.parametrize("payload_type", [111, 63])
def test_a_packet_that_names_none_belongs_to_the_only_section_of_its_payload_type(
    world: World, payload_type: int
) -> None:
    packet = audio(1)._replace(ssrc=30, payload_type=payload_type)
    assert world.whose(packet) == Source(world.microphone, repairs=False)


def test_a_payload_type_of_two_sections_tells_nothing(world: World) -> None:
    world.published["2"] = Published(TrackId("screen"), "2", "video", track_of(), {96: VP8})
    assert world.whose(video(1)) is None
    assert world.counters.dropped == {"unknown_ssrc": 1}


def test_a_track_that_comes_under_another_ssrc_begins_anew_and_the_one_before_is_nobodys(world: World) -> None:
    world.sources.announce(world.camera, {10: None}, 0.0)
    world.camera.track.receive(video(500), -1, -1, 0.0)
    world.whose(named(video(1), b"1", 20))
    assert list(world.sources.by_ssrc) == [20]
    assert world.camera.track.ssrc == 20
    assert world.camera.track.is_newest(1)


def test_what_is_published_no_longer_is_forgotten_in_the_table_that_others_keep(world: World) -> None:
    kept = world.sources.by_ssrc
    world.sources.announce(world.camera, {10: 11}, 0.0)
    world.sources.announce(world.microphone, {30: None}, 0.0)
    world.sources.forget(world.camera)
    assert list(kept) == [30]
    world.sources.announce(world.camera, {12: None}, 0.0)
    assert list(kept) == [30, 12]


def test_ever_new_ssrcs_fill_no_table(world: World) -> None:
    for ssrc in range(1000, 1000 + 2 * MAX_SOURCES):
        world.whose(named(video(1)._replace(payload_type=97), b"1", ssrc))
    assert len(world.sources.by_ssrc) == MAX_SOURCES
    assert world.counters.dropped == {"unknown_ssrc": MAX_SOURCES}


def test_a_retransmission_becomes_the_packet_that_it_repeats(world: World) -> None:
    world.camera.track.ssrc = 10
    original = video(0x1234, body=b"picture")._replace(ssrc=10)
    repeated = original._replace(ssrc=11, payload_type=97, sequence=7, payload=b"\x12\x34" + original.payload)
    assert unwrap_rtx(repeated, world.camera) == original


@pytest.mark.parametrize("changed", [{"payload": b"\0\1"}, {"payload": b""}, {"payload_type": 96}])
def test_a_probe_for_bandwidth_repeats_nothing(world: World, changed: dict[str, object]) -> None:
    packet = video(7)._replace(payload_type=97)._replace(**changed)  # type: ignore[arg-type]
    assert unwrap_rtx(packet, world.camera) is None
