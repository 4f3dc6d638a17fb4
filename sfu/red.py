"""Redundant audio (RFC 2198): read just far enough to relabel its blocks, or to take the newest of them out.

A packet begins with one header of four bytes for each older block and one of a single byte for the newest, the
primary; then follow the blocks in the same order. The primary is what the packet would hold without redundancy.
"""

from __future__ import annotations

# Browsers send one older block, or two; more would cost more than it repairs.
MAX_OLDER_BLOCKS = 4


class RedError(Exception):
    """The bytes are no redundant payload whose blocks are all of the expected payload type."""


def primary_at(payload: bytes, payload_type: int) -> int:
    """Where the primary block begins, at least 1; every block must be of `payload_type`. Raises RedError."""
    size = len(payload)
    at = older = 0
    while True:
        if at >= size:
            raise RedError("the payload ends inside its headers")
        first = payload[at]
        if first & 0x7F != payload_type:
            raise RedError(f"a block of payload type {first & 0x7F} in redundancy of {payload_type}")
        # RFC 2198 section 3: F "is set to 1 ... if this header block is followed by another", else "this is the last".
        if not first & 0x80:
            break
        if at >= 4 * MAX_OLDER_BLOCKS:
            raise RedError(f"more than {MAX_OLDER_BLOCKS} older blocks")
        if at + 4 > size:
            raise RedError("the payload ends inside its headers")
        older += (payload[at + 2] & 0x03) << 8 | payload[at + 3]
        at += 4
    at += 1 + older
    if at > size:
        raise RedError("the blocks are longer than the payload")
    return at


def relabel(payload: bytes, payload_type: int) -> bytes:
    """The same blocks under another payload type; `payload` is one that `primary_at` has read."""
    relabelled = bytearray(payload)
    at = 0
    while payload[at] & 0x80:
        relabelled[at] = 0x80 | payload_type
        at += 4
    relabelled[at] = payload_type
    return bytes(relabelled)
