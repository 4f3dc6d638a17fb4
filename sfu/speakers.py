"""Who speaks, from the audio levels that clients write into their packets (RFC 6464)."""

from __future__ import annotations

from collections.abc import Mapping

# Louder than this counts as speech. RFC 6464 levels are in -dBov: 0 is the loudest, 127 is silence.
_SPEECH_LEVEL = 50
# Rise at once, fall slowly: a pause between two words is not the end of a speech.
_FALL = 0.35
_FLOOR = 0.12
MAX_SPEAKERS = 5

Ranking = tuple[tuple[str, float], ...]  # (track, level), the loudest first


class LevelMeter:
    """The smoothed level of one track, 0 (silence) to 1 (full scale)."""

    __slots__ = ("_peak", "level")

    def __init__(self) -> None:
        self._peak = 127
        self.level = 0.0

    def packet(self, level: int) -> None:
        """A packet with the RFC 6464 byte `level` (bit 7 is the sender's voice detector, which many leave unset)."""
        level &= 0x7F
        if level < self._peak:
            self._peak = level

    def tick(self) -> float:
        """Close an interval: fold its peak into the level and return it."""
        now = 0.0 if self._peak > _SPEECH_LEVEL else 1 - self._peak / 127
        self.level = now if now > self.level else self.level + _FALL * (now - self.level)
        self._peak = 127
        return self.level


def ranking(levels: Mapping[str, float]) -> Ranking:
    """The loudest tracks with their levels, loudest first; levels are rounded so that equal states compare equal."""
    speaking = [(track, round(level, 1)) for track, level in levels.items() if level >= _FLOOR]
    speaking.sort(key=lambda entry: (-entry[1], entry[0]))
    return tuple(speaking[:MAX_SPEAKERS])


class RoomSpeakers:
    """What was last told of each room."""

    def __init__(self) -> None:
        self._told: dict[str, Ranking] = {}

    def changed(self, levels: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Ranking]]:
        """The rooms in which others speak now than at the last call; `levels` are those of all, by room and track."""
        for gone in self._told.keys() - levels.keys():
            del self._told[gone]
        changed = []
        for room, found in levels.items():
            speakers = ranking(found)
            if speakers != self._told.get(room, ()):
                self._told[room] = speakers
                changed.append((room, speakers))
        return changed
