"""Certificates made on the spot, for servers of tests that speak TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pem:
    """A certificate for localhost, signed by itself, with its key; both as files."""

    chain: Path
    key: Path
    serial: int

    def trust(self) -> ssl.SSLContext:
        """What a client needs that trusts in this certificate alone."""
        return ssl.create_default_context(cafile=str(self.chain))

    def become(self, other: Pem) -> None:
        """Put another certificate and key into these files, as a renewal does."""
        for ours, theirs in ((self.chain, other.chain), (self.key, other.key)):
            fresh = ours.with_suffix(".new")
            fresh.write_bytes(theirs.read_bytes())
            fresh.replace(ours)


def make(folder: Path, name: str, *, expired: bool = False) -> Pem:
    """Files `name`.pem and `name`.key in `folder`; an expired one was valid until a minute ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Each is an issuer of its own, so that who trusts in several does not take one for another.
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)
    subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + (datetime.timedelta(minutes=-1) if expired else datetime.timedelta(days=1)))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Pem(folder / f"{name}.pem", folder / f"{name}.key", certificate.serial_number)
    made.chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made
