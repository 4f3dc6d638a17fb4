"""Promises of the SRTP sessions and of our own sealing with AES-GCM."""

from __future__ import annotations

import contextlib

import pylibsrtp
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp, rtp, srtp

from .hostile import FEW, MANY, U16, U32, datagrams

GCM_128, GCM_256, CM = "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_80"
KEY_BYTES = {GCM_128: 28, GCM_256: 44, CM: 30}
PROFILES = sorted(KEY_BYTES)


def pair(profile: str) -> tuple[srtp.Session, srtp.Session]:
    """Two sessions, each of which reads what the other one writes."""
    one, other = bytes(range(KEY_BYTES[profile])), bytes(range(100, 100 + KEY_BYTES[profile]))
    return srtp.Session(srtp.Keys(profile, one, other)), srtp.Session(srtp.Keys(profile, other, one))


def packet(sequence: int, ssrc: int = 0xDEADBEEF, payload: bytes = b"payload") -> bytes:
    return rtp.pack(rtp.Packet(0x80, 96, sequence & 0xFFFF, 1234, ssrc, {1: b"\x7f", 5: b"ab"}, payload))


def sealed(session: srtp.Session, index: int, ssrc: int = 0xDEADBEEF, payload: bytes = b"payload") -> bytes:
    """A packet as the fan-out makes it."""
    header = packet(index, ssrc, b"")
    assert session.seal is not None
    return header + session.seal((session.iv_base(ssrc) ^ index).to_bytes(12, "big"), payload, header)


# ------------------------------------------------------------------------------------------------------------- keys


def test_session_keys_are_derived_as_in_rfc_3711_appendix_b_3() -> None:
    # The 14-byte salt of AES-CM; what AES-GCM's 12 bytes are padded to.
    key, salt = srtp.derive_session_keys(
        bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    )
    assert key == bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
    assert salt == bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")[:12]


def test_the_iv_and_the_packet_are_those_of_rfc_7714_section_16_1_1() -> None:
    session = pair(GCM_128)[0]
    session._salt = int.from_bytes(bytes.fromhex("517569642070726f2071756f"), "big")  # the RFC gives session keys
    iv = (session.iv_base(0x5501A0B2) ^ 0xF17B).to_bytes(12, "big")
    assert iv.hex() == "51753c6580c2726f20718414"
    header, text = bytes.fromhex("8040f17b8041f8d35501a0b2"), b"Gallia est omnis divisa in partes tres"
    assert AESGCM(bytes(range(16))).encrypt(iv, text, header).hex() == (
        "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
    )


@FEW
@given(st.sampled_from([GCM_128, GCM_256]), U32, U16, st.binary(max_size=100))
def test_libsrtp_opens_what_we_seal(profile: str, ssrc: int, sequence: int, payload: bytes) -> None:
    sender, receiver = pair(profile)
    assert receiver.unprotect_rtp(sealed(sender, sequence, ssrc, payload)) == packet(sequence, ssrc, payload)


@FEW
@given(st.sampled_from([GCM_128, GCM_256]), U32, U16, st.binary(max_size=100))
def test_we_seal_byte_for_byte_as_libsrtp_does(profile: str, ssrc: int, sequence: int, payload: bytes) -> None:
    sender, _ = pair(profile)
    assert sender.protect_rtp(packet(sequence, ssrc, payload)) == sealed(sender, sequence, ssrc, payload)


@pytest.mark.parametrize("profile", [GCM_128, GCM_256])
def test_sealing_goes_on_across_roll_overs(profile: str) -> None:
    sender, receiver = pair(profile)
    for index in range(0, 0x3FF00, 0x3FFF):
        assert receiver.unprotect_rtp(sealed(sender, index)) == packet(index)
    for index in (0x3FFFE, 0x40001, 0x3FFFF, 0x40000):  # reordered around a roll-over
        assert receiver.unprotect_rtp(sealed(sender, index)) == packet(index)


@MANY
@given(st.sets(st.tuples(U32, st.integers(0, (1 << 48) - 1)), min_size=2, max_size=8))
def test_no_two_packets_share_an_iv(packets: set[tuple[int, int]]) -> None:
    session = pair(GCM_128)[0]
    assert len({session.iv_base(ssrc) ^ index for ssrc, index in packets}) == len(packets)
    assert all(0 <= session.iv_base(ssrc) ^ index < 1 << 96 for ssrc, index in packets)


def test_keys_do_not_show_in_logs() -> None:
    assert repr(srtp.Keys(GCM_128, b"outbound-key", b"inbound-key")) == f"Keys(profile={GCM_128!r})"


def test_only_gcm_is_sealed_by_us() -> None:
    assert pair(CM)[0].seal is None
    assert srtp.Keys(GCM_256, b"", b"").is_gcm
    assert not srtp.Keys(CM, b"", b"").is_gcm


# --------------------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("profile", PROFILES)
def test_both_directions_of_rtp_and_rtcp_work_with_every_profile(profile: str) -> None:
    one, other = pair(profile)
    for sender, receiver in ((one, other), (other, one)):
        assert receiver.unprotect_rtp(sender.protect_rtp(packet(7))) == packet(7)
        report = rtcp.receiver_report(1, ()) + rtcp.source_description(1, "x")
        assert receiver.unprotect_rtcp(sender.protect_rtcp(report)) == report


@pytest.mark.parametrize("profile", PROFILES)
def test_a_packet_is_taken_once(profile: str) -> None:
    sender, receiver = pair(profile)
    data = sender.protect_rtp(packet(7))
    receiver.unprotect_rtp(data)
    with pytest.raises(srtp.SrtpError):
        receiver.unprotect_rtp(data)
    control = sender.protect_rtcp(rtcp.receiver_report(1, ()))
    receiver.unprotect_rtcp(control)
    with pytest.raises(srtp.SrtpError):
        receiver.unprotect_rtcp(control)


def test_a_packet_may_come_a_thousand_places_late() -> None:
    sender, receiver = pair(GCM_128)
    late, too_late = sealed(sender, 5000 - 1000), sealed(sender, 5000 - 1100)
    receiver.unprotect_rtp(sealed(sender, 5000))
    assert receiver.unprotect_rtp(late) == packet(4000)
    with pytest.raises(srtp.SrtpError):
        receiver.unprotect_rtp(too_late)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_too_long_is_an_srtp_error(profile: str) -> None:
    session = pair(profile)[0]
    long = packet(1) + bytes(1500)
    for function in (session.protect_rtp, session.protect_rtcp, session.unprotect_rtp, session.unprotect_rtcp):
        with pytest.raises(srtp.SrtpError):
            function(long)


def _real_packets() -> list[bytes]:
    sender, _ = pair(GCM_128)
    return [sealed(sender, 7), sealed(sender, 8, payload=b""), sender.protect_rtcp(rtcp.receiver_report(1, ()))]


SAMPLES = _real_packets()


@MANY
@given(st.sampled_from(PROFILES), datagrams(SAMPLES))
def test_nothing_forged_is_opened_and_nothing_but_srtp_error_is_raised(profile: str, datagram: bytes) -> None:
    _, receiver = pair(profile)
    for function in (receiver.unprotect_rtp, receiver.unprotect_rtcp):
        if profile == GCM_128 and datagram in SAMPLES:  # changes may cancel each other
            continue
        with pytest.raises(srtp.SrtpError):
            function(datagram)


@MANY
@given(st.sampled_from(PROFILES), datagrams([packet(7), rtcp.receiver_report(1, ())]))
def test_protecting_any_bytes_gives_a_packet_or_an_srtp_error(profile: str, data: bytes) -> None:
    session = pair(profile)[0]
    for function in (session.protect_rtp, session.protect_rtcp):
        with contextlib.suppress(srtp.SrtpError):
            assert len(function(data)) > len(data)


def test_a_forgery_does_not_disturb_the_session() -> None:
    sender, receiver = pair(GCM_128)
    for index in range(1, 50):
        data = sealed(sender, index)
        for forged in (data[:-1] + bytes([data[-1] ^ 1]), data[:3] + bytes([data[3] ^ 0x80]) + data[4:]):
            with pytest.raises(srtp.SrtpError):
                receiver.unprotect_rtp(forged)
        assert receiver.unprotect_rtp(data) == packet(index)


def test_libsrtp_alone_reads_our_keys_too() -> None:
    keys = srtp.Keys(GCM_256, bytes(range(44)), bytes(44))
    policy = pylibsrtp.Policy(
        key=keys.outbound,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    )
    assert pylibsrtp.Session(policy).unprotect(sealed(srtp.Session(keys), 3)) == packet(3)
