"""An offer is read as its browser meant it, or refused with SdpError: never anything else."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.codecs import AUDIO_LEVEL, MID, OPUS, VP8
from sfu.sdp import Offer, SdpError, Section, Ssrc, parse_offer

from .offers import NAMES, mutated, offer_of, text_of

MINIMAL = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE a v
a=ice-ufrag:user
a=ice-pwd:passwordpasswordpassword
a=fingerprint:SHA-256 {digest}
a=setup:actpass
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:a
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=video 0 UDP/TLS/RTP/SAVPF 96 97
a=bundle-only
a=mid:v
a=rtcp-mux
a=recvonly
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
""".format(digest=":".join(["ab"] * 32))


def changed(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def refused(text: str, **limits: int) -> SdpError:
    with pytest.raises(SdpError) as caught:
        parse_offer(text, **limits)
    return caught.value


def by_mid(offer: Offer) -> dict[str, Section]:
    return {section.mid: section for section in offer.sections}


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_offer_is_understood(name: str) -> None:
    offer = offer_of(name)
    assert offer.setup == "actpass"
    assert offer.fingerprints[0][0] == "sha-256"
    media = [section for section in offer.sections if section.is_media]
    assert media
    for section in media:
        assert MID in section.extensions or section.direction == "recvonly"
        assert (OPUS if section.kind == "audio" else VP8) in [codec.key for codec in section.codecs]


def test_chromium_publishing_is_read_in_full() -> None:
    audio, video = offer_of("chromium_publish").sections
    assert (audio.mid, audio.kind, audio.direction) == ("0", "audio", "sendonly")
    assert audio.codecs[0].parameters == {"minptime": "10", "useinbandfec": "1"}
    assert audio.codecs[0].feedback == {"transport-cc"}
    assert AUDIO_LEVEL in audio.extensions
    assert video.codecs[0].key == VP8
    assert video.codecs[0].rtx_payload_type == 97
    assert {"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"} <= video.codecs[0].feedback
    assert len(video.ssrcs) == 1
    assert video.ssrcs[0].rtx is not None
    assert video.rtcp_rsize


def test_firefox_publishing_is_read_with_its_own_payload_types() -> None:
    audio, video = offer_of("firefox_publish").sections
    assert audio.codecs[0].payload_type == 109
    assert [codec.name for codec in video.codecs][:2] == ["VP8", "VP9"]
    assert video.is_media, "port 0 with bundle-only is offered all the same"


def test_a_section_for_data_is_no_media() -> None:
    for browser in ("chromium", "firefox"):
        video, data = offer_of(f"{browser}_simulcast_and_data").sections
        assert video.is_media
        assert data.kind == "application"
        assert not data.is_media


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_stopped_section_is_rejected_and_the_others_stay(browser: str) -> None:
    sections = by_mid(offer_of(f"{browser}_transceiver_stopped"))
    assert sections["1"].rejected
    assert [mid for mid, section in sections.items() if section.is_media] == ["0", "2", "3"]


def test_a_reused_index_has_a_new_mid_and_may_have_a_new_kind() -> None:
    before, after = offer_of("chromium_transceiver_stopped").sections[1], offer_of("chromium_index_reused").sections[1]
    assert (before.mid, before.kind) == ("1", "video")
    assert (after.mid, after.kind) == ("4", "audio")


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_an_ice_restart_changes_the_credentials_and_nothing_else_of_the_transport(browser: str) -> None:
    before, after = offer_of(f"{browser}_publication_inactive"), offer_of(f"{browser}_ice_restart")
    assert before.ice_ufrag != after.ice_ufrag
    assert before.fingerprints == after.fingerprints


def test_transport_attributes_may_stand_in_the_session() -> None:
    offer = parse_offer(MINIMAL)
    assert (offer.ice_ufrag, offer.ice_pwd) == ("user", "passwordpasswordpassword")
    assert offer.fingerprints == (("sha-256", ":".join(["AB"] * 32)),)
    audio, video = offer.sections
    assert (audio.direction, video.direction) == ("sendrecv", "recvonly")


def test_port_zero_alone_is_rejected() -> None:
    assert parse_offer(changed("a=bundle-only\n", "")).sections[1].rejected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BUNDLE a v", "BUNDLE a"),
        ("a=mid:v\na=rtcp-mux", "a=mid:v"),
        ("m=video 0 UDP/TLS/RTP/SAVPF", "m=video 0 RTP/AVP"),
        ("m=video", "m=text"),
    ],
    ids=["outside the bundle", "without rtcp-mux", "without DTLS", "neither audio nor video"],
)
def test_a_section_we_cannot_carry_is_no_error_but_no_media(old: str, new: str) -> None:
    sections = parse_offer(changed(old, new)).sections
    assert [section.is_media for section in sections] == [True, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0\n", ""),
        ("s=-", "s"),
        ("s=-", "s=\x00"),
        ("s=-", "s=a\rb"),
        ("a=mid:v", "a=mid:a"),
        ("a=mid:v", "a=mid:a b"),
        ("a=mid:v\n", ""),
        ("a=group:BUNDLE a v\n", ""),
        ("BUNDLE a v", "BUNDLE a v x"),
        ("BUNDLE a v", "BUNDLE a a"),
        ("BUNDLE a v", "BUNDLE a\na=group:BUNDLE v"),
        ("a=ice-ufrag:user\n", ""),
        ("a=ice-ufrag:user", "a=ice-ufrag:us"),
        ("a=ice-ufrag:user", "a=ice-ufrag:us:r"),
        ("a=ice-pwd:password", "a=ice-pwd:"),
        ("a=bundle-only", "a=bundle-only\na=ice-ufrag:other"),
        ("a=bundle-only", "a=bundle-only\na=ice-pwd:" + "x" * 22),
        ("a=bundle-only", "a=bundle-only\na=fingerprint:sha-256 " + ":".join(["CD"] * 32)),
        ("a=bundle-only", "a=bundle-only\na=setup:active"),
        ("a=setup:actpass", "a=setup:passive"),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("ab:ab:ab\n", "ab:ab\n"),
        ("ab:ab:ab\n", "ab:ab:xy\n"),
        ("m=audio 9 ", "m=audio 65536 "),
        ("m=audio 9 ", "m=audio -9 "),
        ("m=audio 9 ", "m=audio \N{ARABIC-INDIC DIGIT NINE} "),
        ("SAVPF 111", "SAVPF 128"),
        ("SAVPF 111", "SAVPF 111 111"),
        ("SAVPF 111", "SAVPF"),
        ("SAVPF 96 97", "SAVPF " + " ".join(map(str, range(129)))),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/2\na=rtpmap:111 opus/48000"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 /48000/2"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/0"),
        ("a=recvonly", "a=recvonly\na=sendonly"),
        ("a=recvonly", "a=extmap:0 urn:x"),
        ("a=recvonly", "a=extmap:256 urn:x"),
        ("a=recvonly", "a=extmap:1 urn:x\na=extmap:1 urn:y"),
        ("a=recvonly", "a=extmap:1"),
        ("a=recvonly", "\n".join(f"a=extmap:{i + 1} urn:{i}" for i in range(129))),
        ("a=recvonly", "a=ssrc:4294967296 cname:x"),
        ("a=recvonly", "a=ssrc-group:FID 1"),
        ("a=recvonly", "a=ssrc-group:FID 1 1"),
        ("a=recvonly", "a=ssrc-group:FID 1 2\na=ssrc-group:FID 2 3"),
        ("a=recvonly", "a=ssrc-group:FID 1 2\na=ssrc-group:FID 1 3"),
        ("a=recvonly", "a=ssrc-group:FID 1 3\na=ssrc-group:FID 2 3"),
        ("a=recvonly", "\n".join(f"a=ssrc:{i} cname:x" for i in range(129))),
        ("s=-", "s=" + "x" * 5000),
    ],
)
def test_an_offer_that_is_malformed_or_contradicts_itself_is_refused(old: str, new: str) -> None:
    assert refused(changed(old, new)).code == "offer_invalid"


def test_two_sections_cannot_claim_one_ssrc() -> None:
    text = changed("a=recvonly", "a=ssrc:7 cname:x").replace("a=mid:a", "a=mid:a\na=ssrc:7 cname:x")
    assert "SSRC" in str(refused(text))


def test_bundled_sections_have_one_id_for_mid() -> None:
    text = changed("a=recvonly", f"a=extmap:2 {MID}").replace("a=mid:a", f"a=mid:a\na=extmap:1 {MID}")
    assert "mid" in str(refused(text))


def test_bounds_have_their_own_codes() -> None:
    assert refused(MINIMAL, max_characters=100).code == "offer_too_large"
    assert refused(MINIMAL, max_sections=1).code == "too_many_sections"
    assert len(parse_offer(MINIMAL, max_sections=2).sections) == 2


def test_a_missing_or_weak_fingerprint_has_its_own_code() -> None:
    line = next(line for line in MINIMAL.split("\n") if "fingerprint" in line)
    assert refused(changed(line + "\n", "")).code == "fingerprint_missing"
    weak = "a=fingerprint:sha-1 " + ":".join(["00"] * 20)
    assert refused(changed(line, weak)).code == "fingerprint_missing"
    assert [algorithm for algorithm, _ in parse_offer(changed(line, f"{weak}\n{line}")).fingerprints] == ["sha-256"]


def test_an_offer_without_any_section_to_carry_is_refused() -> None:
    text = changed("a=bundle-only\n", "").replace("m=audio 9", "m=audio 0")
    assert "no usable transport" in str(refused(text))


def test_header_extensions_are_read_with_and_without_a_direction() -> None:
    text = changed("a=recvonly", "a=extmap:3/sendonly urn:x\na=extmap:200 urn:y attr\na=extmap:5/inactive urn:z")
    assert parse_offer(text).sections[1].extensions == {"urn:x": 3, "urn:y": 200}


def test_mixed_header_extensions_may_be_allowed_for_a_section_or_for_all() -> None:
    section = parse_offer(changed("a=recvonly", "a=extmap-allow-mixed"))
    assert [s.extmap_allow_mixed for s in section.sections] == [False, True]
    session = parse_offer(changed("a=setup", "a=extmap-allow-mixed\na=setup"))
    assert session.extmap_allow_mixed
    assert [s.extmap_allow_mixed for s in session.sections] == [True, True]


def test_feedback_for_all_payload_types_holds_for_each() -> None:
    (codec,) = parse_offer(changed("a=recvonly", "a=rtcp-fb:* nack  pli\na=rtcp-fb:96 nack")).sections[1].codecs
    assert codec.feedback == {"nack", "nack pli"}


def test_rtx_is_folded_into_its_codec_and_ignored_without_one() -> None:
    (vp8,) = parse_offer(MINIMAL).sections[1].codecs
    assert vp8.rtx_payload_type == 97
    (vp8,) = parse_offer(changed("apt=96", "apt=95")).sections[1].codecs
    assert vp8.rtx_payload_type is None
    (vp8,) = parse_offer(changed("rtx/90000", "rtx/8000")).sections[1].codecs
    assert vp8.rtx_payload_type is None


def test_repair_streams_are_not_streams_of_their_own() -> None:
    lines = "a=ssrc-group:FID 1 2\na=ssrc-group:FEC-FR 1 3\n" + "\n".join(f"a=ssrc:{i} cname:x" for i in (1, 2, 3, 9))
    assert parse_offer(changed("a=recvonly", lines)).sections[1].ssrcs == (Ssrc(1, 2), Ssrc(9))


def test_a_rejected_section_may_hold_anything_and_no_mid() -> None:
    text = changed("a=bundle-only\na=mid:v", "a=rtpmap:999 x").replace("BUNDLE a v", "BUNDLE a")
    assert [section.mid for section in parse_offer(text).sections] == ["a", ""]


@pytest.mark.parametrize(
    "text",
    [
        "v=0\n" + "a=group:BUNDLE x\n" * 15_000,
        "v=0\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 1\n" * 8_000,
        "v=0\na=group:BUNDLE "
        + " ".join(map(str, range(900)))
        + "\nm=audio 9 X 1\na=mid:1\n"
        + "a=ssrc:1 x\n" * 20_000,
        "v=0\n" + "\n" * 200_000,
        MINIMAL + "a=rtcp-fb:96 x\n" * 15_000,
        MINIMAL + "".join(f"a=rtcp-fb:96 {i}\n" for i in range(13_000)),
    ],
)
def test_the_largest_offers_take_no_long_time(text: str) -> None:
    assert len(text) <= 256 * 1024
    start = time.process_time()
    with contextlib.suppress(SdpError):
        parse_offer(text)
    assert time.process_time() - start < 1.0


@given(st.text())
def test_any_text_is_an_offer_or_an_sdp_error(text: str) -> None:
    for candidate in (text, "v=0\n" + text, MINIMAL + text):
        with contextlib.suppress(SdpError):
            parse_offer(candidate)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_mutated_offer_is_an_offer_or_an_sdp_error(data: st.DataObject) -> None:
    try:
        offer = parse_offer(mutated(data))
    except SdpError:
        return
    assert any(section.bundled for section in offer.sections)
    mids = [section.mid for section in offer.sections if section.mid]
    assert len(mids) == len(set(mids))


def _audio_with(*lines: str) -> Section:
    text = text_of("chromium_publish").replace("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n", "".join(lines))
    return parse_offer(text).sections[0]


def test_redundancy_is_a_part_of_the_codec_that_it_repeats() -> None:
    [opus] = [codec for codec in offer_of("chromium_publish").sections[0].codecs if codec.name == "opus"]
    assert (opus.payload_type, opus.red_payload_type, opus.red_preferred) == (111, 63, False)
    first = text_of("chromium_publish").replace(" 111 63 ", " 63 111 ", 1)
    [opus] = [codec for codec in parse_offer(first).sections[0].codecs if codec.name == "opus"]
    assert (opus.red_payload_type, opus.red_preferred) == (63, True)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "a=rtpmap:63 red/48000/2\r\n",
        "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111\r\n",
        "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/9\r\n",
        "a=rtpmap:63 red/48000/2\r\na=fmtp:63 x/x\r\n",
        "a=rtpmap:63 red/8000/2\r\na=fmtp:63 111/111\r\n",
        "a=rtpmap:63 red/48000\r\na=fmtp:63 111/111\r\n",
    ],
)
def test_redundancy_that_is_not_of_one_codec_of_the_section_is_none(lines: str) -> None:
    [opus] = [codec for codec in _audio_with(lines).codecs if codec.name == "opus"]
    assert opus.red_payload_type is None
