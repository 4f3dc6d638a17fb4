"""Doors: what moderators decided about who may come into which room, and with what permissions.

A lock, a waiting room and changed permissions last as long as somebody is in the room. A ban lasts until it is lifted.
A removal refuses the tokens that were issued before it for `memory` seconds, and for as long as any of them that was
tried could live. Everything is bounded: what was decided longest ago is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TypeVar

from state.model import Identity, RoomName

from .tokens import LEEWAY, Claims, Grant

MOST_ENTRIES = 50_000  # of bans, of removals, of changed permissions
Who = tuple[RoomName, Identity]
V = TypeVar("V")


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
    most: int = MOST_ENTRIES
    _settings: dict[RoomName, RoomSettings] = field(default_factory=dict)
    _bans: OrderedDict[Who, None] = field(default_factory=OrderedDict)
    _removals: OrderedDict[Who, Removal] = field(default_factory=OrderedDict)
    _grants: OrderedDict[Who, tuple[Grant, float]] = field(default_factory=OrderedDict)

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
        for who in [who for who in self._grants if who[0] == room]:
            del self._grants[who]

    # --------------------------------------------------------------------------------------------- who may not enter

    def ban(self, room: RoomName, identity: Identity) -> None:
        """Refuse an identity until `unban`."""
        self._put(self._bans, (room, identity), None)

    def unban(self, room: RoomName, identity: Identity) -> bool:
        """Refuse it no longer; False if it was not banned."""
        if (room, identity) not in self._bans:
            return False
        del self._bans[room, identity]
        return True

    def is_banned(self, room: RoomName, identity: Identity) -> bool:
        """Whether a ban stands."""
        return (room, identity) in self._bans

    def banned(self, room: RoomName) -> list[Identity]:
        """Who is banned from a room."""
        return [identity for at, identity in self._bans if at == room]

    def remove(self, room: RoomName, identity: Identity, wall: float, expires: float) -> None:
        """Refuse the tokens of an identity that were issued until now; the one we know of `expires` then."""
        until = max(wall + self.memory, expires + LEEWAY)
        self._put(self._removals, (room, identity), Removal(wall, until))

    def is_removed(self, claims: Claims, wall: float) -> bool:
        """Whether this token was issued before its identity was removed. One that does not say when, was."""
        who = (claims.room, claims.identity)
        removal = self._removals.get(who)
        if removal is None:
            return False
        if wall >= removal.until:
            del self._removals[who]
            return False
        if claims.issued is not None and claims.issued >= removal.at:
            return False
        if claims.expires + LEEWAY > removal.until:
            self._removals[who] = replace(removal, until=claims.expires + LEEWAY)
        return True

    def sweep(self, wall: float) -> None:
        """Forget the oldest removals that refuse nothing any more."""
        while self._removals:
            who, removal = next(iter(self._removals.items()))
            if wall < removal.until:
                break
            del self._removals[who]

    # -------------------------------------------------------------------------------------------- changed permissions

    def change_grant(self, room: RoomName, identity: Identity, grant: Grant, wall: float) -> None:
        """Have this grant hold in place of that of every token issued before."""
        self._put(self._grants, (room, identity), (grant, wall))

    def grant_of(self, claims: Claims) -> Grant:
        """What a token allows, unless a moderator changed it since."""
        changed = self._grants.get((claims.room, claims.identity))
        if changed is None or (claims.issued is not None and claims.issued >= changed[1]):
            return claims.grant
        return changed[0]

    def _put(self, entries: OrderedDict[Who, V], who: Who, value: V) -> None:
        entries[who] = value
        entries.move_to_end(who)
        if len(entries) > self.most:
            entries.popitem(last=False)
