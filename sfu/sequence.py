"""Serial number arithmetic: 16-bit counters that wrap, seen as integers that never do."""

from __future__ import annotations

# Extended numbers start one cycle up, so that a packet from just before the first one still has a positive number.
FIRST_CYCLE = 1 << 16


def extend(number: int, reference: int) -> int:
    """The integer nearest to `reference` whose low 16 bits are `number` (RFC 3711 Appendix A, generalised)."""
    delta = (number - reference) & 0xFFFF
    return reference + delta - (0x10000 if delta & 0x8000 else 0)
