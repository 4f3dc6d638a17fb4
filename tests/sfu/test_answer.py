"""An answer accepts what both sides can do, says so in valid SDP, and other WebRTC stacks take it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import SessionDescription
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfu.answer import SectionPlan, negotiate
from sfu.candidates import Candidate, tcp_priority
from sfu.codecs import ABS_SEND_TIME, MID, OPUS, TRANSPORT_WIDE_CC, VP8
from sfu.sdp import Offer, SdpError, parse_offer

from .offers import NAMES, answer_to, mutated, offer_of, plan_of, text_of


def sections_of(answer: str) -> list[list[str]]:
    """The lines of each section of `answer`, the session's first."""
    return [part.split("\r\n") for part in answer.removesuffix("\r\n").replace("\r\nm=", "\r\n\0m=").split("\r\n\0")]


def rejecting(offer: Offer, *mids: str) -> str:
    plans = [SectionPlan.reject(s) if s.mid in mids else plan_of(s) for s in offer.sections]
    return answer_to(offer, plans)


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_offer_gets_an_answer_that_an_independent_parser_reads(name: str) -> None:
    offer = offer_of(name)
    parsed = SessionDescription.parse(answer_to(offer))
    assert parsed.type is None or parsed.type == ""
    assert [media.kind for media in parsed.media] == [section.kind for section in offer.sections]
    for media, section in zip(parsed.media, offer.sections, strict=True):
        assert media.rtp.muxId == section.mid
        if not section.is_media:
            assert media.port == 0
            continue
        assert media.direction == {"sendonly": "recvonly", "sendrecv": "recvonly", "recvonly": "sendonly"}.get(
            section.direction, "inactive"
        )
        assert media.rtcp_mux
        assert media.dtls is not None
        assert media.dtls.role == "server"
        assert media.ice is not None
        assert (media.ice.usernameFragment, media.ice.iceLite) == ("serv", True)
        offered = {int(payload_type) for payload_type in section.formats}
        assert {codec.payloadType for codec in media.rtp.codecs} <= offered
        names = {codec.name for codec in media.rtp.codecs}
        assert names <= {"opus", "red", "VP8", "VP9", "H264", "AV1", "rtx"}
        assert {extension.uri: extension.id for extension in media.rtp.headerExtensions}.items() <= (
            section.extensions.items()
        )


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_made_of_whole_lines_in_the_order_sdp_wants(name: str) -> None:
    answer = answer_to(offer_of(name))
    assert answer.endswith("\r\n")
    assert "\n" not in answer.replace("\r\n", "")
    session, *media = sections_of(answer)
    assert [line[0] for line in session[:4]] == ["v", "o", "s", "t"]
    assert "a=ice-lite" in session
    for lines in media:
        assert [line[0] for line in lines[:2]] == ["m", "c"]
        assert {line[0] for line in lines[2:]} == {"a"}
    assert answer == answer_to(offer_of(name))


def test_only_the_first_accepted_section_carries_candidates() -> None:
    answer = answer_to(offer_of("chromium_transceiver_stopped"))
    _, *media = sections_of(answer)
    counts = [sum(line.startswith("a=candidate:") for line in lines) for lines in media]
    assert counts == [1, 0, 0, 0]
    assert ["a=end-of-candidates" in lines for lines in media] == [True, False, False, False]
    assert "a=group:BUNDLE 0 2 3\r\n" in answer


def test_a_rejected_section_keeps_its_place_its_mid_and_its_formats() -> None:
    offer = offer_of("firefox_simulcast_and_data")
    *_, data = sections_of(answer_to(offer))
    assert data == ["m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1", "a=inactive"]


def test_the_section_that_holds_the_transport_is_kept_while_others_are_accepted() -> None:
    _, audio, video = sections_of(rejecting(offer_of("chromium_publish"), "0"))
    assert "a=inactive" in audio
    assert audio[0].startswith("m=audio 3478 ")
    assert any(line.startswith("a=candidate:") for line in audio)
    assert "a=recvonly" in video


def test_any_other_section_can_be_rejected_and_so_can_all() -> None:
    answer = rejecting(offer_of("chromium_publish"), "1")
    assert "a=group:BUNDLE 0\r\n" in answer
    assert "m=video 0 " in answer
    nothing = rejecting(offer_of("chromium_publish"), "0", "1")
    assert "m=audio 0 " in nothing
    assert "m=video 0 " in nothing
    assert "a=candidate" not in nothing


def test_a_publisher_is_asked_for_feedback_and_told_where_to_start() -> None:
    _, audio, video = sections_of(answer_to(offer_of("chromium_publish"), start_bitrate_kbps=800))
    assert "a=rtcp-fb:111 transport-cc" in audio
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in audio
    assert "a=fmtp:96 x-google-start-bitrate=800" in video
    assert "a=rtpmap:97 rtx/90000" in video
    assert "a=fmtp:97 apt=96" in video
    assert "a=rtcp-rsize" in video
    assert any(
        line.endswith("packetization-mode=1;profile-level-id=42e01f;x-google-start-bitrate=800") for line in video
    )
    assert not any("x-google" in line for line in audio)
    assert "x-google" not in answer_to(offer_of("chromium_publish"), start_bitrate_kbps=None)


def test_a_slot_names_its_stream_and_its_ssrcs() -> None:
    _, audio, video = sections_of(answer_to(offer_of("chromium_receive_only")))
    assert [line for line in video if "ssrc" in line or "msid" in line] == [
        "a=msid:slot-0 slot-track-1",
        "a=ssrc-group:FID 1002 1003",
        "a=ssrc:1002 cname:auralink",
        "a=ssrc:1002 msid:slot-0 slot-track-1",
        "a=ssrc:1003 cname:auralink",
        "a=ssrc:1003 msid:slot-0 slot-track-1",
    ]
    assert "a=ssrc-group" not in "".join(audio), "audio was offered without RTX"
    assert "a=sendonly" in video
    assert not any("x-google" in line or "transport-cc" in line or "goog-remb" in line for line in video)


def test_negotiation_keeps_the_offers_order_and_only_what_is_allowed() -> None:
    audio, video = offer_of("firefox_publish").sections
    assert [codec.name for codec in negotiate(video, None, "publish").codecs] == ["VP8", "VP9", "AV1"]
    assert [codec.name for codec in negotiate(video, {VP8, OPUS}, "publish").codecs] == ["VP8"]
    assert negotiate(audio, {VP8}, "publish").codecs == ()
    assert negotiate(audio, {VP8}, "publish").extensions == {}


def test_a_section_without_a_common_codec_is_rejected() -> None:
    offer = offer_of("firefox_publish")
    audio, video = offer.sections
    common = negotiate(video, {OPUS}, "publish")
    plans = [plan_of(audio), SectionPlan.publish(video, common.codecs, common.extensions)]
    assert not plans[1].accepted
    assert "m=video 0 " in answer_to(offer, plans)


def test_a_slot_asks_for_nack_only_where_rtx_was_offered() -> None:
    video = offer_of("chromium_receive_only").sections[1]
    assert "nack" in negotiate(video, {VP8}, "slot").codecs[0].feedback
    bare = replace(video, codecs=tuple(replace(codec, rtx_payload_type=None) for codec in video.codecs))
    assert negotiate(bare, {VP8}, "slot").codecs[0].feedback == {"nack pli", "ccm fir"}


def test_payload_types_that_look_like_rtcp_are_not_answered() -> None:
    video = offer_of("chromium_publish").sections[1]
    mistakable = replace(video, codecs=(replace(video.codecs[0], payload_type=72), video.codecs[1]))
    assert video.codecs[0] not in negotiate(mistakable, None, "publish").codecs
    assert 72 not in [codec.payload_type for codec in negotiate(mistakable, None, "publish").codecs]


def test_aiortc_gets_abs_send_time_because_it_has_no_transport_cc() -> None:
    video = offer_of("aiortc_publish_and_receive").sections[1]
    assert negotiate(video, None, "publish").extensions == {MID: 1, ABS_SEND_TIME: 3}
    chromium = offer_of("chromium_publish").sections[1]
    assert TRANSPORT_WIDE_CC in negotiate(chromium, None, "publish").extensions


def test_mixed_header_extensions_are_allowed_where_they_were_offered() -> None:
    session, *_ = sections_of(answer_to(offer_of("chromium_publish")))
    assert "a=extmap-allow-mixed" in session
    session, *media = sections_of(answer_to(offer_of("firefox_publish")))
    assert "a=extmap-allow-mixed" not in session
    assert all("a=extmap-allow-mixed" in lines for lines in media)
    assert "extmap-allow-mixed" not in answer_to(offer_of("aiortc_publish_and_receive"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_read_of_a_mutated_offer_can_be_answered_in_valid_sdp(data: st.DataObject) -> None:
    try:
        offer = parse_offer(mutated(data))
    except SdpError:
        return
    answer = answer_to(offer)
    assert re.fullmatch(r"([a-z]=[ -~]+\r\n)+", answer)
    # The parser knows no protocol with small letters or digits in its name.
    assume(all(re.fullmatch(r"[A-Z/]+", section.protocol) for section in offer.sections))
    parsed = SessionDescription.parse(answer)
    assert [media.port != 0 for media in parsed.media] == [
        plan_of(section).accepted and section.is_media for section in offer.sections
    ]


def test_plans_of_another_offer_are_a_mistake() -> None:
    offer = offer_of("chromium_publish")
    with pytest.raises(ValueError, match="one plan for each section"):
        answer_to(offer, [plan_of(offer.sections[0])])
    with pytest.raises(ValueError, match="one plan for each section"):
        answer_to(offer, [plan_of(section) for section in reversed(offer.sections)])


def test_the_candidates_stand_once_and_the_default_destination_in_every_section() -> None:
    tcp = Candidate("192.0.2.1", 3478, tcp_priority(), "tcp1", transport="tcp")
    udp = Candidate("2001:db8::1", 3479)
    answer = answer_to(offer_of("chromium_publish"), candidates=[tcp, udp])
    for candidate in (tcp, udp):
        assert answer.count(f"{candidate.attribute()}\r\n") == 1
    _, *sections = sections_of(answer)
    for lines in sections:
        assert lines[0].split(" ")[1] == "3479"
        assert lines[1] == "c=IN IP6 2001:db8::1"


def test_an_echoed_codec_cannot_bring_lines_of_its_own() -> None:
    hostile = text_of("chromium_publish").replace("profile-level-id=42e01f", "profile-level-id=42e01f\ta=evil:1")
    assert "evil" not in answer_to(parse_offer(hostile))


async def _aiortc_accepts(connection: RTCPeerConnection, version: int) -> list[str | None]:
    await connection.setLocalDescription(await connection.createOffer())
    # No candidates: nothing is to be sent anywhere.
    answer = answer_to(parse_offer(connection.localDescription.sdp), candidates=[], session_version=version)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    assert connection.signalingState == "stable"
    return [transceiver.currentDirection for transceiver in connection.getTransceivers()]


async def test_aiortc_accepts_our_answers_to_publishing_receiving_stopping_and_publishing_again() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    try:
        connection.addTransceiver(AudioStreamTrack(), direction="sendonly")
        video = connection.addTransceiver(VideoStreamTrack(), direction="sendonly")
        assert await _aiortc_accepts(connection, 1) == ["sendonly", "sendonly"]
        connection.addTransceiver("audio", direction="recvonly")
        connection.addTransceiver("video", direction="recvonly")
        assert await _aiortc_accepts(connection, 2) == ["sendonly", "sendonly", "recvonly", "recvonly"]
        video.direction = "inactive"
        assert await _aiortc_accepts(connection, 3) == ["sendonly", "inactive", "recvonly", "recvonly"]
        video.direction = "sendonly"
        assert await _aiortc_accepts(connection, 4) == ["sendonly", "sendonly", "recvonly", "recvonly"]
    finally:
        await connection.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("order", ["111 63", "63 111"])
def test_redundant_audio_is_answered_where_it_stood_and_with_the_blocks_that_it_has(order: str) -> None:
    text = text_of("chromium_publish").replace(" 111 63 ", f" {order} ", 1)
    lines = answer_to(parse_offer(text)).split("\r\n")
    assert next(line for line in lines if line.startswith("m=audio")).endswith(f" {order}")
    assert "a=rtpmap:63 red/48000/2" in lines
    assert "a=fmtp:63 111/111" in lines


def test_redundancy_whose_number_looks_like_rtcp_is_left_out_and_its_codec_is_not() -> None:
    text = text_of("chromium_publish").replace(" 63 ", " 72 ").replace(":63 ", ":72 ")
    audio = next(section for section in answer_to(parse_offer(text)).split("m=") if section.startswith("audio"))
    assert "111" in audio
    assert "red" not in audio
