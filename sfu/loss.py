"""What is missing from an incoming track, and when to ask for it again (generic NACK, RFC 4585 section 6.2.1)."""

from __future__ import annotations

# Waiting longer spares requests for packets that were only reordered; waiting less repairs sooner.
_REORDER_WAIT = 0.010
# Ask again after about one long round trip; asking faster only doubles what is on its way already.
_RETRY_INTERVAL = 0.100
_MAX_TRIES = 10
# One NACK has to fit into one datagram even if no two numbers share an entry of four bytes; the rest is due next time.
MAX_ASKED = 256
# Beyond this many missing packets a keyframe is cheaper than repairing.
MAX_MISSING = 500


class _Gap:
    __slots__ = ("due", "tries")

    def __init__(self, due: float) -> None:
        self.due = due
        self.tries = 0


class LossRepair:
    """The missing packets of one track, by extended sequence number. Times are in seconds."""

    def __init__(self) -> None:
        self._missing: dict[int, _Gap] = {}
        self.missed = 0  # asked for at least once; those that came a little late by themselves are not among them

    def __bool__(self) -> bool:
        return bool(self._missing)

    def gap(self, first: int, end: int, now: float) -> bool:
        """Packets `first` up to but not including `end` were skipped. False if they are too many to repair."""
        if len(self._missing) + end - first > MAX_MISSING:
            self.give_up()
            return False
        for index in range(first, end):
            self._missing[index] = _Gap(now + _REORDER_WAIT)
        return True

    def give_up(self) -> None:
        """What is missing is not worth repairing any more."""
        self._missing.clear()

    def arrived(self, index: int) -> None:
        """A packet older than the newest arrived, late or repaired."""
        self._missing.pop(index, None)

    def due(self, now: float) -> list[int]:
        """The 16-bit sequence numbers to ask for now, oldest first, at most MAX_ASKED."""
        asked: list[int] = []
        for index, gap in list(self._missing.items()):
            if len(asked) == MAX_ASKED:
                break
            if gap.due > now:
                continue
            if gap.tries >= _MAX_TRIES:
                del self._missing[index]
                continue
            self.missed += gap.tries == 0
            gap.tries += 1
            gap.due = now + _RETRY_INTERVAL
            asked.append(index & 0xFFFF)
        return asked
