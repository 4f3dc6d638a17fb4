"""Which track travels in which receive slot of one receiver.

Slots come in pairs: the n-th audio and the n-th video slot share a media stream, so that the browser plays them in
sync. A publisher's microphone and camera are therefore put into the same pair when they can be; a track that has a
slot keeps it until it is dropped, because moving it would cost a keyframe and a glitch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .media_plane import Kind, TrackId

Slot = TypeVar("Slot")

# A bigger block means fewer offers while a room fills, a smaller one means smaller offers in small rooms.
BLOCK = 4
_FIRST_BLOCK = 2


def sections_for(tracks: int, most: int) -> int:
    """How many receive sections to ask for so that `tracks` fit: two at first, then blocks of four, at most `most`."""
    if tracks <= _FIRST_BLOCK:
        return min(_FIRST_BLOCK, most)
    return min(-(-tracks // BLOCK) * BLOCK, most)


@dataclass(slots=True)
class _Seat(Generic[Slot]):
    mid: str
    slot: Slot
    track: TrackId | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A track that the receiver wants. `owner` groups the tracks that should be in sync."""

    kind: Kind
    owner: str


@dataclass(slots=True)
class SlotPool(Generic[Slot]):
    """The slots of one receiver, and who sits where.

    `most` bounds the slots of each kind; `wishes`, the oldest first, are the receiver's, which goes on changing them.
    """

    most: Mapping[Kind, int]
    wishes: Mapping[TrackId, Wish]
    _seats: dict[Kind, list[_Seat[Slot]]] = field(default_factory=lambda: {"audio": [], "video": []})
    _refused: set[TrackId] = field(default_factory=set)
    _told: set[TrackId] = field(default_factory=set)

    def add(self, kind: Kind, mid: str, slot: Slot) -> int:
        """A receive section was negotiated. Returns its number among those of its kind, from 0."""
        self._seats[kind].append(_Seat(mid, slot))
        return len(self._seats[kind]) - 1

    def drop(self, track: TrackId) -> Slot | None:
        """The wish for `track` is gone. Returns the slot it sat in."""
        self._refused.discard(track)
        self._told.discard(track)
        return self._leave(track)

    def refuse(self, track: TrackId) -> bool:
        """The receiver cannot play `track`: it takes no slot until `reconsider`. True if that is news."""
        self._leave(track)
        self._refused.add(track)
        news = track not in self._told
        self._told.add(track)
        return news

    def forgive(self, track: TrackId) -> None:
        """`track` is another one than it was: whether the receiver can play it is open again."""
        self._refused.discard(track)
        self._told.discard(track)

    def reconsider(self) -> None:
        """What the receiver can play has changed."""
        self._refused.clear()

    def fill(self) -> list[tuple[TrackId, Slot]]:
        """Seat every wish for which there is a slot, oldest first. Returns the new pairs."""
        seated = {seat.track for seats in self._seats.values() for seat in seats}
        new = []
        for track, wish in self.wishes.items():
            if track in seated or track in self._refused:
                continue
            seat = self._best_seat(wish)
            if seat is not None:
                seat.track = track
                new.append((track, seat.slot))
        return new

    def wanted(self, kind: Kind) -> int:
        """How many slots of `kind` the wishes could fill, within the bound."""
        wishes = sum(wish.kind == kind and track not in self._refused for track, wish in self.wishes.items())
        return min(wishes, self.most[kind])

    def lacks_slots(self) -> bool:
        """Whether a wish stands in line that another receive section would serve."""
        return any(self.wanted(kind) > self.count(kind) for kind in self._seats)

    def needed(self, kind: Kind) -> int:
        """How many receive sections of `kind` an offer should have in total."""
        return max(self.count(kind), sections_for(self.wanted(kind), self.most[kind]))

    def count(self, kind: Kind) -> int:
        """How many slots of `kind` there are."""
        return len(self._seats[kind])

    def track_in(self, slot: Slot) -> TrackId | None:
        """The track that sits in `slot`."""
        return next((seat.track for seat in self._all() if seat.slot is slot), None)

    def slot_of(self, track: TrackId) -> Slot | None:
        """The slot in which `track` sits."""
        return next((seat.slot for seat in self._all() if seat.track == track), None)

    def layout(self) -> dict[str, TrackId | None]:
        """The whole map, mid to track."""
        return {seat.mid: seat.track for seat in self._all()}

    def _all(self) -> Iterator[_Seat[Slot]]:
        yield from self._seats["audio"]
        yield from self._seats["video"]

    def _leave(self, track: TrackId) -> Slot | None:
        for seat in self._all():
            if seat.track == track:
                seat.track = None
                return seat.slot
        return None

    def _best_seat(self, wish: Wish) -> _Seat[Slot] | None:
        """A free seat beside the same owner, else one beside an empty seat, else any free one."""
        others = self._seats["audio" if wish.kind == "video" else "video"]
        best: tuple[int, _Seat[Slot]] | None = None
        for number, seat in enumerate(self._seats[wish.kind]):
            if seat.track is not None:
                continue
            beside = others[number].track if number < len(others) else None
            if beside is None:
                rank = 1
            else:
                neighbour = self.wishes.get(beside)
                rank = 0 if neighbour is not None and neighbour.owner == wish.owner else 2
            if best is None or rank < best[0]:
                best = rank, seat
        return best[1] if best else None
