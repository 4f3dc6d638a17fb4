"""The lines of a session description, grouped: one block for the session and one for each `m=` line (RFC 8866 §5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

ErrorCode = Literal["offer_invalid", "offer_too_large", "too_many_sections", "fingerprint_missing"]

MAX_LINE_CHARACTERS: Final = 4096
# Browsers write up to 90 lines per section; so many of the shortest take 5 ms to read.
MAX_LINES: Final = 12 * 1024


class SdpError(Exception):
    """The offer cannot be used; `code` is stable and machine-readable, the message is for a person."""

    def __init__(self, message: str, code: ErrorCode = "offer_invalid") -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Block:
    """The session part (`media` is empty) or one section: attribute name -> its values in order."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def all(self, name: str) -> list[str]:
        """All values of an attribute, in order."""
        return self.attributes.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of an attribute that may be given once. Raises SdpError if two values differ."""
        values = self.attributes.get(name)
        if values is None:
            return None
        if any(value != values[0] for value in values):
            raise SdpError(f"a={name} is given twice")
        return values[0]


_LINE: Final = re.compile(r"([a-z])=([^\x00-\x08\x0a-\x1f\x7f]*)")
TOKEN: Final = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}")  # RFC 8866 §9


def read_blocks(text: str, max_sections: int) -> list[Block]:
    """The session block and then one block for each section. Raises SdpError if a line is no SDP, or for a bound."""
    lines = text.split("\n", MAX_LINES + 1)
    if len(lines) > MAX_LINES:
        raise SdpError(f"more than {MAX_LINES} lines", "offer_too_large")
    if lines[0].removesuffix("\r") != "v=0":
        raise SdpError("the first line is not v=0")
    blocks = [Block()]
    for line_number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        if not line and line_number == len(lines):
            break
        if len(line) > MAX_LINE_CHARACTERS:
            raise SdpError(f"line {line_number} is too long")
        match = _LINE.fullmatch(line)
        if match is None:
            raise SdpError(f"line {line_number} is not of the form letter=value")
        letter, value = match.groups()
        if letter == "m":
            if len(blocks) > max_sections:
                raise SdpError(f"more than {max_sections} sections", "too_many_sections")
            blocks.append(Block(value))
        elif letter == "a":
            name, _, rest = value.partition(":")
            blocks[-1].attributes.setdefault(name, []).append(rest)
    return blocks


def number(text: str, low: int, high: int, what: str) -> int:
    """The decimal number `text`. Raises SdpError, naming it `what`, if it is none or not from `low` to `high`."""
    # Not int() alone: that takes signs, blanks, underscores and the digits of every script.
    if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise SdpError(f"{what} is not a number from {low} to {high}")
    return int(text)
