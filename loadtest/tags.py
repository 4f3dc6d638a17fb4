"""A tag ends each synthetic payload: the track it belongs to, and a counter, so that every delivery can be proven.

It sits at the end because what comes before is rewritten on the way: picture ids in a VP8 descriptor, for one.
"""

from __future__ import annotations

import struct

_TAG = struct.Struct("!4sII")
_MAGIC = b"\xa7ura"  # payloads of real encoders do not end so
TAG_BYTES = _TAG.size
pack_tag = _TAG.pack
unpack_tag = _TAG.unpack_from


def tag(track: int, counter: int) -> bytes:
    """The last bytes of the packet number `counter` (from 0) of the track with the 32-bit tag `track`."""
    return pack_tag(_MAGIC, track, counter)


def read_tag(payload: bytes) -> tuple[int, int] | None:
    """The track and counter of a payload, None if it was not made by `tag`."""
    at = len(payload) - TAG_BYTES
    if at < 0:
        return None
    magic, track, counter = unpack_tag(payload, at)
    return (track, counter) if magic == _MAGIC else None
