"""The room model: values that say who is in a room and what they publish, as every instance agrees to write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

RoomName = NewType("RoomName", str)
Identity = NewType("Identity", str)  # who somebody is: from the token, the same in every session
ParticipantId = NewType("ParticipantId", str)  # one session of somebody: new with every join
TrackId = NewType("TrackId", str)
NodeId = NewType("NodeId", str)  # one instance from its start to its end: a name and random letters

Kind = Literal["audio", "video"]
Source = Literal["microphone", "camera", "screen", "screen_audio"]

KIND_OF_SOURCE: Mapping[Source, Kind] = {
    "microphone": "audio",
    "camera": "video",
    "screen": "video",
    "screen_audio": "audio",
}


@dataclass(frozen=True, slots=True)
class Track:
    """One published audio or video, as the room knows it."""

    id: TrackId
    kind: Kind
    source: Source
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Participant:
    """A member of a room with all it publishes.

    `joined` is a hybrid logical time (Kulkarni et al. 2014): milliseconds since 1970, or one more than the largest
    that its instance knew in the room.
    """

    id: ParticipantId
    identity: Identity
    name: str
    tracks: Mapping[TrackId, Track] = field(default_factory=dict)
    joined: int = 0

    @property
    def recency(self) -> tuple[int, ParticipantId]:
        """Of two sessions of one identity the one with the larger is the newer.

        Clocks decide that only where the instance of the second had not heard of the first.
        """
        return self.joined, self.id


@dataclass(frozen=True, slots=True)
class Room:
    """A room at one moment, its members in the order in which they came."""

    name: RoomName
    participants: tuple[Participant, ...]
