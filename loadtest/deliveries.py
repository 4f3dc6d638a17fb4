"""How often each tagged packet reached a peer, by whichever connection, and for how long nothing came of a track."""

from __future__ import annotations

_MAX_COUNTER = 1 << 22  # packets of one track that are told apart: a day of audio; bounds memory
_MAX_TRACKS = 4096


class Deliveries:
    """The account of one peer; it outlives the connections that a move makes and breaks."""

    def __init__(self) -> None:
        self.arrivals: dict[int, bytearray] = {}  # tag of a track -> arrivals of each of its packets
        self.carried: dict[tuple[str | None, int], int] = {}  # (track of the slot, tag) -> packets
        self.pauses: dict[int, float] = {}  # tag -> the longest time so far in which nothing new came, in seconds
        self._last: dict[int, float] = {}  # tag -> when something new came

    def settle(self) -> None:
        """From here on nothing may come in another track's slot, and pauses count."""
        self.carried.clear()
        self.pauses.clear()

    def take(self, slot_track: str | None, tag: int, counter: int, now: float) -> None:
        """Packet `counter` of the track with this tag came in a slot that carries `slot_track`. `now` in seconds."""
        arrivals = self.arrivals.get(tag)
        if arrivals is None:
            if len(self.arrivals) >= _MAX_TRACKS:
                return
            arrivals = self.arrivals[tag] = bytearray()
        if counter >= len(arrivals):
            if counter >= _MAX_COUNTER:
                return
            arrivals.extend(bytes(counter + 256 - len(arrivals)))
        count = arrivals[counter]
        if count == 0:
            pause = now - self._last.get(tag, now)
            self._last[tag] = now
            if pause > self.pauses.get(tag, 0.0):
                self.pauses[tag] = pause
        if count < 255:
            arrivals[counter] = count + 1
        key = (slot_track, tag)
        self.carried[key] = self.carried.get(key, 0) + 1
