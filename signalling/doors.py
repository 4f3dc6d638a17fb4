"""Doors: what moderators decided about who may come into which room, and with what permissions.

A lock, a waiting room and changed permissions last as long as somebody is in the room. A ban lasts until it is lifted.
A removal refuses the tokens that were issued before it for `memory` seconds, and for as long as any of them that was
tried could live. Everything is bounded, by room and in all: what was decided longest ago is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field, replace
from typing import Generic, TypeVar

from state.model import Identity, RoomName

from .tokens import LEEWAY, Claims, Grant

MOST = 50_000  # bans, removals, changed permissions of all rooms
MOST_PER_ROOM = 2000  # so that no room has another one's forgotten
SWEEP_EVERY = 60.0  # seconds
Who = tuple[RoomName, Identity]
V = TypeVar("V")


class Decisions(Generic[V]):
    """What was decided about identities, by room; the oldest of the same room is forgotten first."""

    def __init__(self, most: int, most_per_room: int) -> None:
        self._most = most
        self._most_per_room = most_per_room
        self._rooms: OrderedDict[RoomName, OrderedDict[Identity, V]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, who: Who, value: V) -> None:
        """Decide, in place of what was decided before."""
        self.pop(who)
        room, identity = who
        self._rooms.setdefault(room, OrderedDict())[identity] = value
        self._count += 1
        if len(self._rooms[room]) > self._most_per_room:
            self.pop((room, next(iter(self._rooms[room]))))
        elif self._count > self._most:
            longest_here = next(iter(self._rooms))
            self.pop((longest_here, next(iter(self._rooms[longest_here]))))

    def get(self, who: Who) -> V | None:
        """What was decided."""
        entries = self._rooms.get(who[0])
        return None if entries is None else entries.get(who[1])

    def pop(self, who: Who) -> bool:
        """Forget; False if there was nothing to forget."""
        entries = self._rooms.get(who[0], OrderedDict())
        if who[1] not in entries:
            return False
        del entries[who[1]]
        self._count -= 1
        if not entries:
            del self._rooms[who[0]]
        return True

    def of_room(self, room: RoomName) -> list[Identity]:
        """Whom something was decided about in a room."""
        return list(self._rooms.get(room, ()))

    def __iter__(self) -> Iterator[tuple[Who, V]]:
        return (((room, identity), value) for room, of in self._rooms.items() for identity, value in of.items())


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What moderators set for a room as a whole."""

    locked: bool = False
    waiting_room: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """Tokens issued before `at` are refused until `until`, both in seconds since 1970."""

    at: float
    until: float


@dataclass(slots=True)
class Doors:
    """The settings of every room, and who may not enter it. Times are seconds since 1970, given by the caller."""

    memory: float
    most: InitVar[int] = MOST
    most_per_room: InitVar[int] = MOST_PER_ROOM
    _settings: dict[RoomName, RoomSettings] = field(default_factory=dict)
    _bans: Decisions[bool] = field(init=False)
    _removals: Decisions[Removal] = field(init=False)
    _grants: Decisions[tuple[Grant, float]] = field(init=False)
    _swept: float = 0.0

    def __post_init__(self, most: int, most_per_room: int) -> None:
        self._bans = Decisions(most, most_per_room)
        self._removals = Decisions(most, most_per_room)
        self._grants = Decisions(most, most_per_room)

    # -------------------------------------------------------------------------------------------------- settings

    def settings(self, room: RoomName) -> RoomSettings:
        """The settings of a room; nothing is set in a room that does not exist."""
        return self._settings.get(room, RoomSettings())

    def set(self, room: RoomName, *, locked: bool | None = None, waiting_room: bool | None = None) -> bool:
        """Change settings; None leaves one as it is. False if it was so already."""
        before = now = self.settings(room)
        if locked is not None:
            now = replace(now, locked=locked)
        if waiting_room is not None:
            now = replace(now, waiting_room=waiting_room)
        self._settings[room] = now
        return now != before

    def room_ended(self, room: RoomName) -> None:
        """Nobody is in the room any more: its settings end, bans and removals stay."""
        self._settings.pop(room, None)
        for identity in self._grants.of_room(room):
            self._grants.pop((room, identity))

    # --------------------------------------------------------------------------------------------- who may not enter

    def ban(self, room: RoomName, identity: Identity) -> None:
        """Refuse an identity until `unban`."""
        self._bans.put((room, identity), True)

    def unban(self, room: RoomName, identity: Identity) -> bool:
        """Refuse it no longer; False if it was not banned."""
        return self._bans.pop((room, identity))

    def is_banned(self, room: RoomName, identity: Identity) -> bool:
        """Whether a ban stands."""
        return self._bans.get((room, identity)) is not None

    def banned(self, room: RoomName) -> list[Identity]:
        """Who is banned from a room."""
        return self._bans.of_room(room)

    def remove(self, room: RoomName, identity: Identity, wall: float, expires: float) -> None:
        """Refuse the tokens of an identity that were issued until now; the one we know of `expires` then."""
        until = max(wall + self.memory, expires + LEEWAY)
        self._removals.put((room, identity), Removal(wall, until))

    def is_removed(self, claims: Claims, wall: float) -> bool:
        """Whether this token was issued before its identity was removed. One that does not say when, was."""
        who = (claims.room, claims.identity)
        removal = self._removals.get(who)
        if removal is None:
            return False
        if wall >= removal.until:
            self._removals.pop(who)
            return False
        if claims.issued is not None and claims.issued >= removal.at:
            return False
        if claims.expires + LEEWAY > removal.until:
            self._removals.put(who, replace(removal, until=claims.expires + LEEWAY))
        return True

    def sweep(self, wall: float) -> None:
        """Forget the removals that refuse nothing any more. Looks once a minute, however often it is called."""
        if wall - self._swept < SWEEP_EVERY:
            return
        self._swept = wall
        for who in [who for who, removal in self._removals if wall >= removal.until]:
            self._removals.pop(who)

    # -------------------------------------------------------------------------------------------- changed permissions

    def change_grant(self, room: RoomName, identity: Identity, grant: Grant, wall: float) -> None:
        """Have this grant hold in place of that of every token issued before."""
        self._grants.put((room, identity), (grant, wall))

    def grant_of(self, claims: Claims) -> Grant:
        """What a token allows, unless a moderator changed it since."""
        changed = self._grants.get((claims.room, claims.identity))
        if changed is None or (claims.issued is not None and claims.issued >= changed[1]):
            return claims.grant
        return changed[0]
