"""An SDP offer as plain values: `parse_offer` reads what a browser offers (RFC 8866, RFC 8829), strictly and bounded.

Sections (one per `m=` line) are known by their mid, because an index may be used again for another mid and another
kind.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast

from .codecs import MID
from .sdp_lines import TOKEN, Block, SdpError, read_blocks
from .sdp_section import Codec, Direction, Section, Ssrc, read_section

__all__ = ["Codec", "Direction", "Offer", "SdpError", "Section", "Setup", "Ssrc", "offer_in_steps", "parse_offer"]

Setup = Literal["actpass", "active"]

MAX_CHARACTERS: Final = 256 * 1024
# A browser's offer has some 3,000 characters, and 1,500 for each section that it adds to receive; 16 KiB take about
# 1.5 ms to read.
LONG_CHARACTERS: Final = 16 * 1024
MAX_SECTIONS: Final = 256
MAX_FINGERPRINTS: Final = 16


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole offer: the one transport that its bundled sections share, and the sections in order."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    """(hash algorithm in lower case, fingerprint in upper case), only of hashes that are safe today."""
    setup: Setup
    sections: tuple[Section, ...]
    bundle: tuple[str, ...]
    extmap_allow_mixed: bool = False
    """Offered for the whole session, not only in sections."""


def parse_offer(text: str, *, max_characters: int = MAX_CHARACTERS, max_sections: int = MAX_SECTIONS) -> Offer:
    """Read an SDP offer.

    Raises SdpError, and nothing else, if it is no SDP, exceeds a bound, contradicts itself, or has no usable transport.
    """
    steps = offer_in_steps(text, max_characters=max_characters, max_sections=max_sections)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            offer: Offer = end.value
            return offer


def offer_in_steps(
    text: str, *, max_characters: int = MAX_CHARACTERS, max_sections: int = MAX_SECTIONS
) -> Generator[None, None, Offer]:
    """As parse_offer, but it yields after each section, so that something else can be done in between."""
    if len(text) > max_characters:
        raise SdpError(f"longer than {max_characters} characters", "offer_too_large")
    session, *media = read_blocks(text, max_sections)
    bundle = _bundle(session)
    read: list[Section] = []
    for index, block in enumerate(media):
        yield
        read.append(read_section(block, index, session, bundle))
    yield
    sections = tuple(read)
    mids = [section.mid for section in sections if section.mid]
    if len(mids) != len(set(mids)):
        raise SdpError("two sections have the same mid")
    if not set(bundle) <= set(mids):
        raise SdpError("the bundle names a mid that no section has")
    live = [(section, block) for section, block in zip(sections, media, strict=True) if not section.rejected]
    _refuse_shared_ssrcs(section for section, _ in live)
    bundled = [(section, block) for section, block in live if section.bundled]
    if not bundled:
        raise SdpError("no usable transport: no section is both offered and bundled")
    if len({section.extensions[MID] for section, _ in bundled if MID in section.extensions}) > 1:
        raise SdpError("bundled sections disagree about the id of the mid header extension")
    blocks = [session, *(block for _, block in bundled)]
    return Offer(
        ice_ufrag=_agreed(blocks, "ice-ufrag", _ICE_UFRAG),
        ice_pwd=_agreed(blocks, "ice-pwd", _ICE_PWD),
        fingerprints=_agreed_fingerprints(blocks),
        setup=_agreed_setup(blocks),
        sections=sections,
        bundle=bundle,
        extmap_allow_mixed="extmap-allow-mixed" in session.attributes,
    )


def _refuse_shared_ssrcs(sections: Iterable[Section]) -> None:
    seen: set[int] = set()
    for section in sections:
        own = {ssrc for pair in section.ssrcs for ssrc in (pair.primary, pair.rtx) if ssrc is not None}
        if seen & own:
            raise SdpError("two sections claim the same SSRC")
        seen |= own


_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839 §5.4
_ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")


def _bundle(session: Block) -> tuple[str, ...]:
    groups = [
        mids for semantics, *mids in map(str.split, filter(str.strip, session.all("group"))) if semantics == "BUNDLE"
    ]
    if len(groups) > 1:
        raise SdpError("more than one bundle")
    bundle = tuple(groups[0]) if groups else ()
    if len(bundle) != len(set(bundle)):
        raise SdpError("the bundle names a mid twice")
    return bundle


def _agreed(blocks: list[Block], name: str, form: re.Pattern[str]) -> str:
    """The value of a transport attribute: of the session or of any bundled section, but nowhere another one."""
    values = {value for block in blocks if (value := block.one(name)) is not None}
    if len(values) != 1:
        raise SdpError(f"bundled sections disagree about {name}" if values else f"{name} is missing")
    value = values.pop()
    if not form.fullmatch(value):
        raise SdpError(f"{name} is malformed")
    return value


_DIGEST_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


def _agreed_fingerprints(blocks: list[Block]) -> tuple[tuple[str, str], ...]:
    agreed: tuple[tuple[str, str], ...] | None = None
    for block in blocks:
        given = block.all("fingerprint")
        if not given:
            continue
        if len(given) > MAX_FINGERPRINTS:
            raise SdpError("too many fingerprints")
        fingerprints = tuple(dict.fromkeys(_fingerprint(value) for value in given))
        if agreed is not None and set(fingerprints) != set(agreed):
            raise SdpError("bundled sections disagree about the fingerprint")
        agreed = agreed or fingerprints
    # Weak hashes are left out rather than refused: RFC 8122 §5.1 lets a client offer several.
    safe = tuple((algorithm, value) for algorithm, value in agreed or () if algorithm in _DIGEST_BYTES)
    if not safe:
        raise SdpError("no fingerprint of SHA-256 or better", "fingerprint_missing")
    return safe


def _fingerprint(value: str) -> tuple[str, str]:
    algorithm, _, digest = value.partition(" ")
    algorithm, digest = algorithm.lower(), digest.strip().upper()
    if not TOKEN.fullmatch(algorithm) or not re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){0,63}", digest):
        raise SdpError("malformed fingerprint")
    if (len(digest) + 1) // 3 != _DIGEST_BYTES.get(algorithm, (len(digest) + 1) // 3):
        raise SdpError(f"a fingerprint of the wrong length for {algorithm}")
    return algorithm, digest


def _agreed_setup(blocks: list[Block]) -> Setup:
    values = {value for block in blocks if (value := block.one("setup")) is not None}
    if not values:
        # RFC 4145 §4: "The default value of the setup attribute in an offer/answer exchange is 'active' in the offer".
        return "active"
    if len(values) > 1:
        raise SdpError("bundled sections disagree about setup")
    setup = values.pop()
    if setup not in ("actpass", "active"):
        raise SdpError("setup leaves us no passive part")
    return cast(Setup, setup)
