"""An offer of the cheap peer is one that the server takes, and its answer is read back; anything else is one error."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.sdp import AnswerError, LocalTransport, OfferedSection, read_answer, write_offer
from loadtest.stream import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC
from sfu.answer import SectionPlan, build_answer, negotiate
from sfu.candidates import Candidate, candidate_priority
from sfu.codecs import OPUS, VP8
from sfu.sdp import Offer, Section, parse_offer

OURS = LocalTransport("ours", "p" * 24, ("sha-256", ":".join(["AB"] * 32)))
THEIRS = ("sha-256", ":".join(["CD"] * 32))
SECTIONS = [
    OfferedSection("0", "audio", 11),
    OfferedSection("1", "video", 12, 13),
    OfferedSection("a0", "audio"),
    OfferedSection("v0", "video"),
]
CANDIDATES = (
    Candidate("192.0.2.1", 7000, priority=candidate_priority("host", 1)),
    Candidate("2001:db8::1", 7001, priority=candidate_priority("host", 3)),
    Candidate("192.0.2.2", 7002, priority=candidate_priority("host", 2), foundation="2"),
)


def offer_of(sections: list[OfferedSection]) -> Offer:
    return parse_offer(write_offer(sections, OURS, session_id=5, version=2))


def plan_of(number: int, section: Section) -> SectionPlan:
    """Publish what is sent, and give each receive section a slot with SSRCs by its number."""
    if section.direction == "sendonly":
        common = negotiate(section, None, "publish")
        return SectionPlan.publish(section, common.codecs, common.extensions)
    common = negotiate(section, None, "slot")
    rtx = 2000 + number if section.kind == "video" else None
    return SectionPlan.slot(section, common.codecs, common.extensions, 1000 + number, rtx, "s", "t", "c")


def answer_to(offer: Offer, candidates: tuple[Candidate, ...] = CANDIDATES, reject: str = "") -> str:
    return build_answer(
        offer,
        [SectionPlan.reject(s) if s.mid == reject else plan_of(n, s) for n, s in enumerate(offer.sections)],
        ice_ufrag="serv",
        ice_pwd="q" * 24,
        fingerprint=THEIRS,
        candidates=candidates,
        session_id=1,
        session_version=1,
    )


ANSWER = answer_to(offer_of(SECTIONS))


def changed(old: str, new: str) -> str:
    """The answer with a change that is one."""
    assert old in ANSWER
    return ANSWER.replace(old, new)


# ---------------------------------------------------------------------------------------------------------- offer


def test_the_server_reads_from_an_offer_what_was_put_into_it() -> None:
    offer = offer_of(SECTIONS)
    assert (offer.ice_ufrag, offer.ice_pwd, offer.fingerprints) == (OURS.ice_ufrag, OURS.ice_pwd, (OURS.fingerprint,))
    assert offer.setup == "actpass"
    assert offer.bundle == ("0", "1", "a0", "v0")
    assert [(s.mid, s.kind, s.direction) for s in offer.sections] == [
        ("0", "audio", "sendonly"),
        ("1", "video", "sendonly"),
        ("a0", "audio", "recvonly"),
        ("v0", "video", "recvonly"),
    ]
    assert [[(pair.primary, pair.rtx) for pair in s.ssrcs] for s in offer.sections] == [
        [(11, None)],
        [(12, 13)],
        [],
        [],
    ]
    audio, video = offer.sections[:2]
    assert [codec.key for codec in audio.codecs] == [OPUS]
    assert [codec.key for codec in video.codecs] == [VP8]
    assert {"nack", "nack pli", "transport-cc"} <= set(video.codecs[0].feedback)


def test_a_later_version_only_appends() -> None:
    before = write_offer(SECTIONS[:2], OURS, session_id=5, version=1)
    after = write_offer(SECTIONS, OURS, session_id=5, version=2)
    media = before[before.index("m=") :]
    assert after[after.index("m=") :].startswith(media)
    assert re.findall(r"^o=- (\d+) (\d+)", before + after, re.MULTILINE) == [("5", "1"), ("5", "2")]


# --------------------------------------------------------------------------------------------------------- answer


def test_an_answer_tells_the_transport() -> None:
    answer = read_answer(ANSWER)
    assert (answer.ice_ufrag, answer.ice_pwd, answer.fingerprints) == ("serv", "q" * 24, (THEIRS,))


def test_candidates_come_best_first() -> None:
    assert read_answer(ANSWER).candidates == (("2001:db8::1", 7001), ("192.0.2.2", 7002), ("192.0.2.1", 7000))


def test_passive_tcp_candidates_are_told_apart() -> None:
    tcp = [replace(candidate, transport="tcp") for candidate in CANDIDATES[:2]]
    active = "a=candidate:9 1 TCP 99 192.0.2.9 9 typ host tcptype active"
    text = answer_to(offer_of(SECTIONS), (*tcp, CANDIDATES[2])).replace("a=candidate", f"{active}\r\na=candidate", 1)
    answer = read_answer(text)
    assert answer.tcp_candidates == (("2001:db8::1", 7001), ("192.0.2.1", 7000))
    assert answer.candidates == (("192.0.2.2", 7002),)
    assert read_answer(ANSWER).tcp_candidates == ()


def test_published_sections_have_payload_types_and_extensions() -> None:
    audio, video = (read_answer(ANSWER).sections[mid] for mid in "01")
    assert (audio.kind, audio.direction, audio.payload_type, audio.rtx_payload_type) == ("audio", "recvonly", 111, None)
    assert (video.kind, video.direction, video.payload_type, video.rtx_payload_type) == ("video", "recvonly", 96, 97)
    assert audio.extensions == {MID: 1, TRANSPORT_WIDE_CC: 2, AUDIO_LEVEL: 3}
    assert video.extensions == {MID: 1, TRANSPORT_WIDE_CC: 2}
    assert (audio.ssrc, video.ssrc) == (None, None)


def test_slots_have_ssrcs() -> None:
    sections = read_answer(ANSWER).sections
    assert [(sections[mid].direction, sections[mid].ssrc, sections[mid].rtx_ssrc) for mid in ("a0", "v0")] == [
        ("sendonly", 1002, None),
        ("sendonly", 1003, 2003),
    ]


def test_a_rejected_section_is_not_there() -> None:
    assert set(read_answer(answer_to(offer_of(SECTIONS), reject="1")).sections) == {"0", "a0", "v0"}


def test_lines_may_end_without_a_carriage_return() -> None:
    assert read_answer(ANSWER.replace("\r\n", "\n")) == read_answer(ANSWER)


def test_without_candidates_there_are_none() -> None:
    assert read_answer(answer_to(offer_of(SECTIONS), ())).candidates == ()


@pytest.mark.parametrize("address", ["host.example", "a.local", "fe80::1%eth0", "1.2.3", "\0"])
def test_a_candidate_that_would_have_to_be_looked_up_is_passed_over(address: str) -> None:
    assert read_answer(changed(" 192.0.2.1 7000 typ", f" {address} 7000 typ")).candidates == (
        ("2001:db8::1", 7001),
        ("192.0.2.2", 7002),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=ice-ufrag:serv", "a=x"),
        ("a=ice-ufrag:serv", "a=ice-ufrag:ser\ud800"),
        ("a=ice-pwd:" + "q" * 24, "a=ice-pwd:short"),
        ("a=fingerprint:", "a=finger:"),
        (" 7000 typ", " 65536 typ"),
        (" 7000 typ", f" {'7' * 5000} typ"),
        ("m=audio ", "m=audio\n"),
        ("m=audio", "m=text"),
        ("SAVPF 111", "SAVPF"),
        ("SAVPF 111", "SAVPF 128"),
        ("SAVPF 111", "SAVPF -1"),
        ("a=rtpmap:97 rtx", "a=rtpmap:x rtx"),
        ("a=extmap:1 ", "a=extmap:256 "),
        ("a=extmap:1 ", "a=extmap:1/x\n\na=extmap:"),
        ("FID 1003 2003", "FID 1003"),
        ("FID 1003 2003", "FID 1003 4294967296"),
        ("FID 1003 2003", "FID \u0661 2003"),
        (ANSWER, ""),
    ],
)
def test_a_broken_answer_is_one_error(old: str, new: str) -> None:
    with pytest.raises(AnswerError):
        read_answer(changed(old, new))


@settings(max_examples=150, deadline=None)
@given(st.text() | st.lists(st.sampled_from(sorted(set(ANSWER.split("\r\n"))))).map("\r\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        answer = read_answer(text)
    except AnswerError:
        return
    assert answer.fingerprints


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(ANSWER)), st.integers(0, 20), st.text(max_size=5) | st.from_regex(r"[0-9]{1,12}", fullmatch=True)
)
def test_a_damaged_answer_is_refused_or_has_only_numbers_that_fit(at: int, gone: int, new: str) -> None:
    try:
        answer = read_answer(ANSWER[:at] + new + ANSWER[at + gone :])
    except AnswerError:
        return
    for section in answer.sections.values():
        assert all(0 <= number <= 127 for number in (section.payload_type, section.rtx_payload_type or 0))
        assert all(0 <= ssrc < 1 << 32 for ssrc in (section.ssrc or 0, section.rtx_ssrc or 0))
        assert all(0 <= identifier <= 255 for identifier in section.extensions.values())
    assert all(0 <= port <= 65535 for _, port in answer.candidates)


@given(st.lists(st.tuples(st.sampled_from(["audio", "video"]), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_whatever_is_offered_the_answer_has_the_same_sections(shape: list[tuple[str, bool]]) -> None:
    sections = [
        OfferedSection(
            str(number),
            "audio" if kind == "audio" else "video",
            100 + 2 * number if publishes else None,
            101 + 2 * number if publishes and kind == "video" else None,
        )
        for number, (kind, publishes) in enumerate(shape)
    ]
    answered = read_answer(answer_to(offer_of(sections))).sections
    assert [(s.mid, s.kind) for s in answered.values()] == [(s.mid, s.kind) for s in sections]
    assert [s.direction for s in answered.values()] == ["recvonly" if s.ssrc else "sendonly" for s in sections]
