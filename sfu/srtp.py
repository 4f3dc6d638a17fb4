"""SRTP: libsrtp for what comes in and for RTCP, AES-GCM directly for what fans out (RFC 3711, RFC 7714).

The fast path of the forwarder does not call into this file per packet: it takes `seal` and `iv_base` from here once
and encrypts with them itself. libsrtp would cost three times as much from Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pylibsrtp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_RTP_KEY_LABEL, _RTP_SALT_LABEL = 0, 2  # RFC 3711 section 4.3.2

Seal = Callable[[bytes, bytes, bytes], bytes]


class SrtpError(Exception):
    """A packet did not authenticate, was replayed, or does not fit."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Master keys and salts as the DTLS exporter gives them (RFC 5764 section 4.2), joined as key + salt.

    They stay out of the repr, so that no log or traceback shows them.
    """

    profile: str  # OpenSSL's name: "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM" or "SRTP_AES128_CM_SHA1_80"
    outbound: bytes = field(repr=False)
    inbound: bytes = field(repr=False)

    @property
    def is_gcm(self) -> bool:
        """Whether the fan-out may encrypt with AES-GCM itself."""
        return "GCM" in self.profile


_LIBSRTP_PROFILES = {
    "SRTP_AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "SRTP_AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "SRTP_AES128_CM_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
_GCM_KEY_BYTES = {"SRTP_AEAD_AES_128_GCM": 16, "SRTP_AEAD_AES_256_GCM": 32}

# A higher window accepts packets that come later, a lower one needs less memory per source; 1024 packets are three
# seconds of a good video.
_REPLAY_WINDOW = 1024


class Session:
    """The SRTP contexts of one DTLS association: both directions of libsrtp and, for GCM, our own sealing."""

    def __init__(self, keys: Keys) -> None:
        self._inbound = _session(keys.profile, keys.inbound, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._outbound = _session(keys.profile, keys.outbound, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self.seal: Seal | None = None
        self._salt = 0
        if keys.is_gcm:
            size = _GCM_KEY_BYTES[keys.profile]
            key, salt = derive_session_keys(keys.outbound[:size], keys.outbound[size:])
            self.seal = AESGCM(key).encrypt
            self._salt = int.from_bytes(salt, "big")

    def iv_base(self, ssrc: int) -> int:
        """The 96-bit IV of packet index 0 of `ssrc`: XOR it with the 48-bit index (ROC ‖ SEQ) of a packet.

        RFC 7714 section 8.1: 00 00 ‖ SSRC ‖ ROC ‖ SEQ, "then XORed to the 12-octet Encryption Salt".
        """
        return self._salt ^ ssrc << 48

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """Decrypt an incoming RTP packet. Raises SrtpError."""
        return _guarded(self._inbound.unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Decrypt an incoming RTCP packet. Raises SrtpError."""
        return _guarded(self._inbound.unprotect_rtcp, packet)

    def protect_rtp(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet through libsrtp, for peers without GCM. Raises SrtpError."""
        return _guarded(self._outbound.protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt an RTCP packet. Raises SrtpError."""
        return _guarded(self._outbound.protect_rtcp, packet)


def derive_session_keys(master_key: bytes, master_salt: bytes) -> tuple[bytes, bytes]:
    """The session key and 12-byte salt for AES-GCM from the exporter's master key and 12-byte salt.

    RFC 3711 section 4.3.1: x = key_id XOR master_salt, key_id = label ‖ (index DIV kdr), kdr 0; section 4.3.3: the
    key stream of AES-CM with x * 2^16. RFC 7714 section 11 pads the 96-bit salt "to form a 112-bit master salt".
    """
    salt = int.from_bytes(master_salt.ljust(14, b"\0"), "big")

    def derive(label: int, size: int) -> bytes:
        counter = ((label << 48) ^ salt) << 16
        # AES-CM is what RFC 3711 section 4.3.3 prescribes for deriving keys; nothing is encrypted with it here.
        cipher = Cipher(algorithms.AES(master_key), modes.CTR(counter.to_bytes(16, "big")))
        return cipher.encryptor().update(bytes(size))

    return derive(_RTP_KEY_LABEL, len(master_key)), derive(_RTP_SALT_LABEL, 12)


def _session(profile: str, key: bytes, ssrc_type: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_LIBSRTP_PROFILES[profile])
    policy.window_size = _REPLAY_WINDOW
    return pylibsrtp.Session(policy)


def _guarded(function: Callable[[bytes], bytes], packet: bytes) -> bytes:
    try:
        return function(packet)
    except (pylibsrtp.Error, ValueError) as error:  # ValueError: "packet is too long"
        raise SrtpError(str(error)) from None
