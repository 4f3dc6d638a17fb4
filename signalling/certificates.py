"""The TLS certificate of this server: read at start, and read again when its files change, for new handshakes only."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the files

Stamp = tuple[tuple[int, int, int] | None, ...]  # of each file: inode, time of change, size


class CertificateError(ValueError):
    """The files cannot be used; the message is one sentence."""


class Certificate:
    """A certificate chain and its key, and the context that serves them. Raises CertificateError."""

    def __init__(self, chain: str, key: str) -> None:
        self._files = (Path(chain), Path(key))
        self.context = _context()
        self._seen = self._stamp()
        self._load_into(self.context)

    async def watch(self) -> None:
        """Look after the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.refresh()

    def refresh(self) -> None:
        """Serve what the files hold now, if they changed; what cannot be used is logged once, and the old kept."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp  # taken before the files are read: what changes meanwhile is read again
        try:
            self._load_into(_context())  # tried apart, for a context is left half changed by files that do not fit
            self._load_into(self.context)
        except CertificateError as error:
            log.warning("The files of the TLS certificate changed, and the old one is kept: %s", error)
        else:
            log.info("The TLS certificate changed: new connections get the new one")

    def _stamp(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)

    def _load_into(self, context: ssl.SSLContext) -> None:
        chain, key = self._files
        try:
            context.load_cert_chain(chain, key, password=lambda: "")  # never ask a terminal
        except ssl.SSLError as error:
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            why = f"{key} is not the key of it" if mismatch else "they are no certificate and unencrypted key in PEM"
            raise CertificateError(f"{chain} with {key} cannot be used: {why}.") from None
        except (OSError, ValueError) as error:
            raise CertificateError(f"{chain} or {key} cannot be read: {getattr(error, 'strerror', error)}.") from None


def _context() -> ssl.SSLContext:
    """TLS as RFC 9325 wants it: 1.2 or newer, and forward secrecy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
