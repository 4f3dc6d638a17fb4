"""What the DTLS server agrees to: approved versions, cipher suites and SRTP profiles, with a key of its own process."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiortc.rtcdtlstransport import RTCCertificate
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from OpenSSL import SSL

from sfu import dtls, srtp

from .test_dtls import settle

OURS, THEIRS = dtls.Certificate(), RTCCertificate.generateCertificate()
THEIR_FINGERPRINT = next((f.algorithm, f.value) for f in THEIRS.getFingerprints() if f.algorithm == "sha-256")

GCM_SUITE = b"ECDHE-ECDSA-AES128-GCM-SHA256"
GCM, CM_80, CM_32 = b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80", b"SRTP_AES128_CM_SHA1_32"
DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD


async def outcome(
    suites: bytes = GCM_SUITE, profiles: bytes = GCM, version: int = DTLS_1_2, *, with_certificate: bool = True
) -> srtp.Keys | BaseException:
    """What our server makes of a client that offers just this."""
    context = SSL.Context(SSL.DTLS_METHOD)
    if with_certificate:
        context.use_certificate(THEIRS._cert)
        context.use_privatekey(THEIRS._key)
    # OpenSSL itself would not offer the weak ones at its usual level.
    context.set_cipher_list(suites + b":@SECLEVEL=0")
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_tlsext_use_srtp(profiles)
    client = SSL.Connection(context)
    client.set_connect_state()
    server = dtls.DtlsEndpoint(OURS, "server", client.bio_write, lambda: None)

    async def connect() -> None:
        for _ in range(6):  # flights
            with contextlib.suppress(SSL.Error):  # wants to read, or was refused
                client.do_handshake()
            try:
                while True:
                    server.feed(client.bio_read(1500))
            except SSL.WantReadError:
                await settle()
        await server.close()

    result, _ = await asyncio.gather(server.handshake([THEIR_FINGERPRINT]), connect(), return_exceptions=True)
    return result


@pytest.mark.parametrize(
    "suite", [GCM_SUITE, b"ECDHE-ECDSA-AES256-GCM-SHA384", b"ECDHE-ECDSA-CHACHA20-POLY1305"], ids=bytes.decode
)
async def test_cipher_suites_with_forward_secrecy_and_authenticated_encryption_are_agreed_to(suite: bytes) -> None:
    assert isinstance(await outcome(suite), srtp.Keys)


@pytest.mark.parametrize(
    "suite",
    [
        b"ECDHE-ECDSA-AES128-SHA",
        b"ECDHE-ECDSA-AES256-SHA",
        b"ECDHE-ECDSA-AES128-SHA256",
        b"ECDHE-ECDSA-NULL-SHA",
        b"AECDH-AES128-SHA",
        b"AES128-GCM-SHA256",
    ],
    ids=bytes.decode,
)
async def test_other_cipher_suites_are_refused(suite: bytes) -> None:
    assert isinstance(await outcome(suite), dtls.DtlsError)


async def test_dtls_1_0_is_refused() -> None:
    assert isinstance(await outcome(b"ECDHE-ECDSA-AES128-SHA", version=DTLS_1_0), dtls.DtlsError)


@pytest.mark.parametrize("profile", [GCM, CM_80], ids=bytes.decode)
async def test_an_srtp_profile_that_authenticates_with_80_bits_or_more_is_agreed_to(profile: bytes) -> None:
    keys = await outcome(profiles=profile)
    assert isinstance(keys, srtp.Keys)
    assert keys.profile.encode() == profile


async def test_authenticated_encryption_is_preferred_whatever_the_clients_order_is() -> None:
    keys = await outcome(profiles=CM_80 + b":" + GCM)
    assert isinstance(keys, srtp.Keys)
    assert keys.is_gcm


async def test_an_srtp_profile_with_a_short_tag_is_refused() -> None:
    assert isinstance(await outcome(profiles=CM_32), dtls.DtlsError)


async def test_a_client_without_a_certificate_is_refused() -> None:
    assert isinstance(await outcome(with_certificate=False), dtls.DtlsError)


def test_each_process_makes_a_key_of_its_own_on_an_approved_curve() -> None:
    key = OURS._certificate._key
    assert isinstance(key, EllipticCurvePrivateKey)
    assert isinstance(key.curve, SECP256R1)
    assert dtls.Certificate().fingerprint != OURS.fingerprint
