"""A ring of the most recent packets of one track, shared by all who receive it."""

from __future__ import annotations

from typing import NamedTuple


class Stored(NamedTuple):
    """One packet as it was forwarded: enough to write it again for any receiver."""

    number: int  # extended source sequence number
    marker: int  # 0x80 or 0
    timestamp: int
    level: int  # audio level byte, or -1
    orientation: int  # video orientation byte, or -1
    payload: bytes
    primary_at: int = 0  # where the primary block of a redundant payload (RFC 2198) begins; 0 if it is not redundant


class PacketRing:
    """Holds the last `capacity` numbers (`capacity` is a power of two). Payloads are shared, not copied."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1 or capacity & (capacity - 1):
            raise ValueError("capacity must be a power of two")
        self._mask = capacity - 1
        self._slots: list[Stored | None] = [None] * capacity
        self._highest = -1

    def store(self, packet: Stored) -> bool:
        """Keep a packet. False if it is a duplicate, or so old that its place is taken by a newer one."""
        number = packet.number
        place = number & self._mask
        if number > self._highest:
            self._highest = number
        elif number + self._mask < self._highest:
            return False
        held = self._slots[place]
        if held is not None and held.number >= number:
            return False
        self._slots[place] = packet
        return True

    def get(self, number: int) -> Stored | None:
        """The packet with this number if it is still held."""
        held = self._slots[number & self._mask]
        return held if held is not None and held.number == number else None
