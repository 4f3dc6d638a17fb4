"""What real offers change: which sections publish, which are slots, and what ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest

from sfu.codecs import OPUS, VP8, CodecKey
from sfu.counters import Counters
from sfu.dtls import Certificate
from sfu.ice_lite import Credentials
from sfu.media_plane import AcceptedTrack, TrackId
from sfu.negotiation import Negotiation, Outcome, decoders
from sfu.outbound import PayloadTypes
from sfu.peer import Peer
from sfu.slots import SlotPool, Wish
from sfu.srtp import Keys, Session
from sfu.transport import PeerTransport

from .media import GCM
from .offers import NAMES, answer_to, offer_of

CERTIFICATE = Certificate()
OURS, THEIRS = Credentials("u", "p"), Credentials("v", "q")


def peer_of(most: int = 32, wishes: Mapping[TrackId, Wish] = MappingProxyType({})) -> Peer:
    transport = PeerTransport(OURS, THEIRS, (), CERTIFICATE, Counters(), [], lambda *_: None, bits(), 0.0)
    pool: SlotPool = SlotPool({"audio": most, "video": most}, wishes)  # type: ignore[type-arg]
    return Peer("ann", "room", transport, pool, 9, Counters(), float)  # type: ignore[arg-type]


def bits(*first: int) -> Callable[[int], int]:
    """Random bits that begin with `first` and then count, from far away."""
    given = [*first, *range(1_000_000, 1_001_000)]
    return lambda count: given.pop(0) & ((1 << count) - 1)


def apply(peer: Peer, name: str, *, allowed: frozenset[CodecKey] | None = None, leave_out: str = "") -> Outcome:
    """Apply a stored offer in which every sending section publishes `track-<mid>`."""
    offer = offer_of(name)
    sending = [s.mid for s in offer.sections if s.is_media and s.direction in ("sendonly", "sendrecv")]
    tracks: Mapping[str, TrackId] = {mid: TrackId(f"track-{mid}") for mid in sending if mid != leave_out}
    return Negotiation(bits()).apply(peer, offer, tracks, allowed, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_each_section_of_a_real_offer_gets_a_plan_from_which_an_answer_can_be_written(name: str) -> None:
    peer, offer = peer_of(), offer_of(name)
    outcome = apply(peer, name)
    assert [plan.section.mid for plan in outcome.plans] == [section.mid for section in offer.sections]
    assert outcome.rejected == {}
    assert {accepted.track for accepted in outcome.accepted} == {published.id for published in outcome.started}
    receiving = [section for section in offer.sections if section.is_media and section.direction == "recvonly"]
    assert list(peer.slots) == [section.mid for section in receiving]
    text = answer_to(offer, outcome.plans)
    assert text.count("a=sendonly") == len(receiving)
    for stream in peer.slots.values():
        assert f"a=ssrc:{stream.ssrc} " in text


def test_a_browsers_tracks_are_accepted_with_opus_and_vp8() -> None:
    outcome = apply(peer_of(), "chromium_publish")
    assert {(track.kind, track.codec) for track in outcome.accepted} == {("audio", "opus"), ("video", "VP8")}
    assert all(isinstance(track, AcceptedTrack) for track in outcome.accepted)


def test_the_same_offer_again_starts_and_ends_nothing_and_keeps_the_streams() -> None:
    peer = peer_of()
    apply(peer, "chromium_publish_and_receive")
    streams, published = dict(peer.slots), dict(peer.published)
    again = apply(peer, "chromium_publish_and_receive")
    assert (again.started, again.ended) == ([], [])
    assert (peer.slots, peer.published) == (streams, published)
    assert len(peer.streams) == len(streams)


def test_a_track_that_is_left_out_ends_and_its_section_stays_quiet() -> None:
    peer = peer_of()
    first = apply(peer, "chromium_publish")
    mid = first.accepted[0].mid
    outcome = apply(peer, "chromium_publish", leave_out=mid)
    assert [ended.mid for ended in outcome.ended] == [mid]
    assert mid not in peer.published
    assert all(source.published.mid != mid for source in peer.sources.by_ssrc.values())


def test_another_track_in_the_same_section_ends_the_one_before() -> None:
    peer, offer = peer_of(), offer_of("chromium_publish")
    negotiation, mid = Negotiation(bits()), offer.sections[0].mid
    negotiation.apply(peer, offer, {mid: TrackId("one")}, None, 0.0)
    outcome = negotiation.apply(peer, offer, {mid: TrackId("two")}, None, 0.0)
    assert [track.id for track in outcome.ended] == ["one"]
    assert [track.id for track in outcome.started] == ["two"]


def test_a_mid_that_the_offer_does_not_have_is_rejected() -> None:
    outcome = Negotiation(bits()).apply(peer_of(), offer_of("chromium_publish"), {"99": TrackId("x")}, None, 0.0)
    assert outcome.rejected == {"99": "no_such_section"}


def test_a_track_without_a_codec_that_the_room_takes_is_rejected() -> None:
    outcome = apply(peer_of(), "chromium_publish", allowed=frozenset({OPUS}))
    assert list(outcome.rejected.values()) == ["codec_unsupported"]
    assert [track.codec for track in outcome.accepted] == ["opus"]


def test_more_slots_than_the_bound_stay_inactive() -> None:
    peer = peer_of(most=1)
    outcome = apply(peer, "chromium_publish_and_receive")
    slots = [plan for plan in outcome.plans if plan.stream]
    assert len(slots) == len(peer.slots) == len({stream.number for stream in peer.slots.values()}) * 2
    assert (peer.pool.count("audio"), peer.pool.count("video")) == (1, 1)


def test_ssrcs_are_unique_even_if_chance_repeats_itself() -> None:
    peer = peer_of()
    negotiation = Negotiation(bits(0, 9, 5, 5, 6, 1, 2, 6, 5, 7, 7, 8, 1, 2))
    for _ in range(2):
        negotiation._new_stream(peer)
    ssrcs = [ssrc for stream in peer.streams.values() for ssrc in (stream.ssrc, stream.rtx_ssrc)]
    assert ssrcs == [5, 6, 7, 8]  # not 0, and not the 9 that our own reports come from


def test_the_first_numbers_stay_below_the_half_of_their_range() -> None:
    stream = Negotiation(bits(5, 6, 0xFFFFF, 0xFFFFF))._new_stream(peer_of())
    assert stream.next_number < 1 << 15
    assert stream._rtx_number < 1 << 15


def test_a_slot_that_comes_after_the_keys_can_send_at_once() -> None:
    peer = peer_of()
    key = bytes(28)
    peer.transport.srtp = Session(Keys(GCM, key, key))
    apply(peer, "firefox_publish_and_receive")
    assert all(stream.seal is not None for stream in peer.slots.values())


def test_who_has_receive_sections_has_said_what_it_decodes() -> None:
    chromium, firefox, nobody = peer_of(), peer_of(), peer_of()
    apply(chromium, "chromium_publish_and_receive")
    apply(firefox, "firefox_publish_and_receive")
    said = decoders([chromium, nobody, firefox])
    assert len(said) == 2
    assert all({OPUS, VP8} <= keys for keys in said)


def test_one_track_cannot_be_two_sections() -> None:
    offer = offer_of("chromium_publish")
    mids = [section.mid for section in offer.sections]
    tracks = {mid: TrackId("same") for mid in mids}
    outcome = Negotiation(bits()).apply(peer_of(), offer, tracks, None, 0.0)
    assert [track.mid for track in outcome.accepted] == mids[:1]
    assert outcome.rejected == dict.fromkeys(mids[1:], "duplicate_track")


def test_a_running_track_outlives_the_arrival_of_somebody_who_cannot_decode_it() -> None:
    peer = peer_of()
    apply(peer, "chromium_publish", allowed=None)
    outcome = apply(peer, "chromium_publish", allowed=frozenset({OPUS}))
    assert [track.codec for track in outcome.accepted] == ["opus", "VP8"]
    assert not outcome.ended


def test_redundant_audio_is_published_and_received_where_it_was_offered() -> None:
    peer = peer_of()
    apply(peer, "chromium_publish_and_receive")
    [microphone] = [published for published in peer.published.values() if published.kind == "audio"]
    assert microphone.red_formats == {63: 111}
    assert {s.codecs[OPUS] for s in peer.slots.values() if OPUS in s.codecs} == {PayloadTypes(111, None, 63)}
    firefox = peer_of()
    apply(firefox, "firefox_publish_and_receive")
    assert {s.codecs[OPUS] for s in firefox.slots.values() if OPUS in s.codecs} == {PayloadTypes(109, None, None)}


def test_silence_is_left_out_of_the_tracks_that_ask_for_it() -> None:
    offer = offer_of("chromium_publish")
    tracks = {section.mid: TrackId(section.mid) for section in offer.sections}
    usual = Negotiation(bits()).apply(peer_of(), offer, tracks, None, 0.0)
    quiet = Negotiation(bits()).apply(peer_of(), offer, tracks, None, 0.0, {offer.sections[0].mid})
    assert "usedtx" not in answer_to(offer, usual.plans)
    assert answer_to(offer, quiet.plans).count("minptime=10;useinbandfec=1;usedtx=1") == 1


VP9 = CodecKey("VP9", 90000, 1, "0")


def test_a_running_track_moves_to_what_all_decode_and_is_understood_until_it_does() -> None:
    peer, offer = peer_of(), offer_of("chromium_publish")
    negotiation, mid = Negotiation(bits()), next(s.mid for s in offer.sections if s.kind == "video")
    negotiation.apply(peer, offer, {mid: TrackId("camera")}, frozenset({VP9}), 0.0)
    published = peer.published[mid]
    vp9 = [payload_type for payload_type, key in published.formats.items() if key == VP9]
    outcome = negotiation.apply(peer, offer, {mid: TrackId("camera")}, frozenset({OPUS, VP8}), 0.0)
    assert [track.codec for track in outcome.accepted] == ["VP8"]
    assert published.track.codec == VP9  # until its packets say otherwise
    assert all(published.formats[payload_type] == VP9 for payload_type in vp9)
    assert set(published.formats.values()) == {VP8, VP9}
    assert set(published.rtx_formats.values()) == set(published.formats)
