"""The codec policy of a room: what its publishers are answered when not everybody decodes everything.

A publisher sends one codec to all, so it is answered what all decode. A track that runs already goes on for those who
can decode it when somebody comes who cannot; its publisher is asked to offer again, and only then moves on to what all
have in common.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .codecs import OPUS, VP8, CodecKey, is_forwarded


def decodable_by_all(decoders: Sequence[Collection[CodecKey]]) -> frozenset[CodecKey] | None:
    """What each of the room's receivers decodes, and always Opus and VP8; None while nobody has said.

    RFC 7742 section 5 and RFC 7874 section 3 have every WebRTC browser decode these two; a room where one does not is
    better off with them than with no common codec.
    """
    if not decoders:
        return None
    return frozenset(set.intersection(*map(set, decoders)) | {OPUS, VP8})


def answerable(
    offered: Collection[CodecKey], allowed: Collection[CodecKey] | None, running: CodecKey | None
) -> Collection[CodecKey] | None:
    """The codecs that a publisher may be answered, None for all that we forward.

    `allowed` is what the room decodes. Who offers none of it has no common codec to move on to: a track that runs
    keeps the codec it has, for those who decode it.
    """
    if allowed is None or running is None or any(key in allowed and is_forwarded(key) for key in offered):
        return allowed
    return {*allowed, running}
