"""Which identities something was decided about, by room: bounded in all and by room, the oldest forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from state.model import Identity, RoomName

Who = tuple[RoomName, Identity]


class Decisions:
    """An ordered set of identities by room, with two bounds."""

    def __init__(self, most: int, most_per_room: int) -> None:
        self._most = most
        self._most_per_room = most_per_room
        self._rooms: OrderedDict[RoomName, OrderedDict[Identity, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, who: Who) -> bool:
        return who[1] in self._rooms.get(who[0], ())

    def __iter__(self) -> Iterator[Who]:
        return ((room, identity) for room, identities in self._rooms.items() for identity in identities)

    def rooms(self) -> Iterator[RoomName]:
        """Where something was decided about anybody."""
        return iter(self._rooms)

    def add(self, who: Who) -> Who | None:
        """Note the newest decision; returns whose is to be forgotten for it, if that is too many.

        The oldest of the same room goes if that room has too many, else the oldest of the room longest here.
        """
        self.discard(who)
        room, identity = who
        self._rooms.setdefault(room, OrderedDict())[identity] = None
        self._count += 1
        if len(self._rooms[room]) > self._most_per_room:
            oldest = room, next(iter(self._rooms[room]))
        elif self._count > self._most:
            longest_here = next(iter(self._rooms))
            oldest = longest_here, next(iter(self._rooms[longest_here]))
        else:
            return None
        self.discard(oldest)
        return oldest

    def discard(self, who: Who) -> bool:
        """Forget; False if there was nothing to forget."""
        identities = self._rooms.get(who[0])
        if identities is None or who[1] not in identities:
            return False
        del identities[who[1]]
        self._count -= 1
        if not identities:
            del self._rooms[who[0]]
        return True

    def of_room(self, room: RoomName) -> list[Identity]:
        """Whom something was decided about in a room, oldest first."""
        return list(self._rooms.get(room, ()))
