"""Redundant audio is read strictly, and relabelled or unwrapped without touching what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.codecs import OPUS
from sfu.outbound import PayloadTypes
from sfu.red import MAX_OLDER_BLOCKS, RedError, primary_at, relabel

from .media import CM, GCM, Receiver, audio, track_of

blocks = st.lists(st.binary(max_size=60), min_size=1, max_size=1 + MAX_OLDER_BLOCKS)
payload_types = st.integers(0, 127)


def redundant(contents: list[bytes], payload_type: int = 111) -> bytes:
    """The payload that carries `contents`, oldest first, the last as primary (RFC 2198 section 3)."""
    *older, primary = contents
    headers = b"".join(
        bytes([0x80 | payload_type]) + ((960 * (len(older) - n) & 0x3FFF) << 10 | len(block)).to_bytes(3, "big")
        for n, block in enumerate(older)
    )
    return headers + bytes([payload_type]) + b"".join(older) + primary


# What once was worth a look: packets as browsers send them, and the ends of everything.
CORPUS = [
    redundant([b"only"]),
    redundant([b"one", b"two"]),
    redundant([b"one", b"two", b"three"]),
    redundant([b"", b""]),
    b"",
    b"\x6f",
    b"\xef",
    b"\xef\x0f\x00",
    b"\xef\x0f\x03\xff\x6f",
    b"\xef\x00\x00\x00" * 200 + b"\x6f",
    b"\x00" * 4,
    b"\xff" * 1200,
]


@given(contents=blocks, payload_type=payload_types)
def test_the_primary_block_is_found_behind_all_older_ones(contents: list[bytes], payload_type: int) -> None:
    payload = redundant(contents, payload_type)
    assert payload[primary_at(payload, payload_type) :] == contents[-1]


@given(contents=blocks, before=payload_types, after=payload_types)
def test_a_new_label_changes_nothing_but_the_labels(contents: list[bytes], before: int, after: int) -> None:
    assert relabel(redundant(contents, before), after) == redundant(contents, after)


@given(contents=blocks, data=st.data())
def test_a_cut_packet_is_refused_or_shortens_only_its_primary_block(contents: list[bytes], data: st.DataObject) -> None:
    payload = redundant(contents)
    cut = payload[: data.draw(st.integers(0, len(payload) - 1))]
    if len(cut) < len(payload) - len(contents[-1]):
        with pytest.raises(RedError):
            primary_at(cut, 111)
    else:
        assert contents[-1].startswith(cut[primary_at(cut, 111) :])


@given(payload=st.one_of(st.binary(max_size=40), st.sampled_from(CORPUS)), payload_type=payload_types)
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_relabelled(payload: bytes, payload_type: int) -> None:
    try:
        at = primary_at(payload, payload_type)
    except RedError:
        return
    assert 0 < at <= len(payload)
    again = relabel(payload, 5)
    assert primary_at(again, 5) == at
    assert again[at:] == payload[at:]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "inside its headers"),
        (b"\xef\x0f\x00", "inside its headers"),
        (b"\xef\x0f\x00\x00", "inside its headers"),
        (b"\xef\x00\x00\x04\x6fabc", "longer than the payload"),
        (redundant([b""] * (MAX_OLDER_BLOCKS + 2)), "older blocks"),
        (redundant([b"a", b"b"], 110), "payload type 110"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, why: str) -> None:
    with pytest.raises(RedError, match=why):
        primary_at(payload, 111)


@pytest.mark.parametrize("profile", [GCM, CM])
def test_each_receiver_gets_redundancy_in_its_own_words_or_the_primary_block_alone(profile: str) -> None:
    track = track_of("audio")
    same = Receiver(1000, profile=profile, codecs={OPUS: PayloadTypes(111, None, 63)})
    other = Receiver(2000, profile=profile, codecs={OPUS: PayloadTypes(96, None, 97)})
    without = Receiver(3000, profile=profile, codecs={OPUS: PayloadTypes(109, None)})
    for receiver in (same, other, without):
        track.attach(receiver.stream, 0.0)
    payload = redundant([b"older", b"newer"])
    track.receive(audio(7, payload), -1, -1, 0.0, primary_at=primary_at(payload, 111))
    track.receive(audio(8, b"plain"), -1, -1, 0.0)
    assert [(p.payload_type, p.payload) for p in same.packets()] == [(63, payload), (111, b"plain")]
    assert [(p.payload_type, p.payload) for p in other.packets()] == [
        (97, redundant([b"older", b"newer"], 96)),
        (96, b"plain"),
    ]
    assert [(p.payload_type, p.payload) for p in without.packets()] == [(109, b"newer"), (109, b"plain")]
    assert without.stream.octets == len(b"newer") + len(b"plain")


def test_a_retransmission_of_redundant_audio_repeats_its_primary_block() -> None:
    track = track_of("audio")
    receiver = Receiver(1000, codecs={OPUS: PayloadTypes(111, 112, 63)})
    track.attach(receiver.stream, 0.0)
    payload = redundant([b"older", b"newer"])
    track.receive(audio(7, payload), -1, -1, 0.0, primary_at=primary_at(payload, 111))
    [packet] = receiver.packets()
    receiver.stream.resend([packet.sequence], 1.0)
    [again] = receiver.packets()
    # RFC 4588: the format of RTX names the codec whose payload it repeats, and that is Opus.
    assert (again.payload_type, again.payload[2:]) == (112, b"newer")
