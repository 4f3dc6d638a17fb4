"""Doors: what moderators decided about who may come into which room, with what permissions, and what is written at it.

A lock, a waiting room, changed permissions and metadata last as long as somebody is in the room. A ban lasts until it
is lifted. A removal refuses the tokens that were issued before it for `memory` seconds, and for as long as any of them
that was tried could live. Everything is bounded: what was decided longest ago is forgotten first.

What holds is kept as `state.settings` has it, so that instances which decided apart from each other can merge; the
words for it are in door_words.py. Times are seconds since 1970, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from state.model import Identity, RoomName
from state.settings import FLAGS, OFF, ON, RoomSettings

from . import door_words as words
from .decisions import Decisions, Who
from .keys import LEEWAY
from .messages import MAX_METADATA_FIELDS
from .tokens import Claims, Grant

MOST = 50_000  # bans, removals, changed permissions of all rooms, each
MOST_PER_ROOM = 2000  # so that no room has another one's forgotten
SWEEP_EVERY = 60.0  # seconds
MOST_AHEAD = 2**32  # that a counter heard of may be ahead of all that we know: else we would soon count beyond 2**53
END_MEMORY = 3600.0  # seconds that the end of a room is remembered, for instances that do not know of it yet
Kind = Literal["ban", "removal", "grant"]


@dataclass(frozen=True, slots=True)
class RoomRules:
    """What holds for a room as a whole."""

    locked: bool = False
    waiting_room: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def flags(self) -> frozenset[str]:
        """What keeps people out: the names of the flags that are on."""
        return frozenset(name for name in FLAGS if getattr(self, name))


class Doors:
    """What holds for every room, and who may not enter it. `writer` names the instance in what it writes."""

    def __init__(
        self,
        memory: float,
        *,
        writer: Callable[[], str] = lambda: "here",
        most: int = MOST,
        most_per_room: int = MOST_PER_ROOM,
    ) -> None:
        self._memory = memory
        self._writer = writer
        self._settings: dict[RoomName, RoomSettings] = {}
        self._decided: dict[Kind, Decisions] = {
            kind: Decisions(most, most_per_room) for kind in ("ban", "removal", "grant")
        }
        self._ends: dict[RoomName, float] = {}  # rooms whose end is remembered, until when
        self._changed: dict[RoomName, None] = {}
        self._clock = 0  # the largest counter that was written or seen
        self._swept = 0.0

    # ------------------------------------------------------------------------------------------------ sharing them

    def of(self, room: RoomName) -> RoomSettings:
        """All that holds in a room, as instances exchange it."""
        return self._settings.get(room, RoomSettings())

    def take_changed(self) -> list[RoomName]:
        """The rooms in which something else holds since the last call."""
        changed, self._changed = list(self._changed), {}
        return changed

    def adopt(self, room: RoomName, heard: RoomSettings) -> bool:
        """Merge what another instance says; False if all of it was known. Raises Unreadable."""
        words.check(heard)
        if heard.newest > self._clock + MOST_AHEAD:
            raise words.Unreadable("it counts further than all instances together can have")
        before = self.of(room)
        merged = before.merge(heard)
        if before.incarnation and merged.has_ended(merged.incarnation) and not merged.has_ended(before.incarnation):
            merged = merged.with_incarnation(before.incarnation)  # what has ended goes on at nobody's
        if merged == before:
            return False
        self._put(room, merged)
        for kind in self._decided:
            self._index(room, kind)
        self._remember_ends(room)
        return True

    # -------------------------------------------------------------------------------------------------- the room

    def rules(self, room: RoomName) -> RoomRules:
        """What holds for a room as a whole; nothing does in one that does not exist."""
        found = self._settings.get(room)
        if found is None:
            return RoomRules()
        metadata = {name: words.read_metadata(value) for name, value in found.metadata().items()}
        return RoomRules(found.flag("locked"), found.flag("waiting_room"), metadata)

    def set(self, room: RoomName, *, locked: bool | None = None, waiting_room: bool | None = None) -> bool:
        """Change what holds; None leaves it as it is. False if it was so already."""
        before = self.rules(room)
        for name, wanted in (("locked", locked), ("waiting_room", waiting_room)):
            if wanted is not None and wanted != getattr(before, name):
                self._write_open(room, "flag", name, ON if wanted else OFF)
        return self.rules(room) != before

    def set_metadata(self, room: RoomName, fields: Mapping[str, str | None]) -> bool | None:
        """Write fields, or take them away (None). False if it was so already; None, and nothing done, if too many."""
        before = self.rules(room)
        after = {name: text for name, text in (dict(before.metadata) | dict(fields)).items() if text is not None}
        # Two instances that set them apart may have come to more; then they may become fewer.
        if len(after) > max(MAX_METADATA_FIELDS, len(before.metadata)):
            return None
        for name, text in fields.items():
            if text is None:
                self._put(room, self.of(room).remove_open("metadata", name))
            elif before.metadata.get(name) != text:
                self._write_open(room, "metadata", name, words.metadata(text))
        return after != before.metadata

    def opened(self, room: RoomName, incarnation: str) -> None:
        """Somebody came into a room in which nobody was."""
        settings = self.of(room)
        if not settings.incarnation or settings.has_ended(settings.incarnation):
            self._put(room, settings.with_incarnation(incarnation))

    def emptied(self, room: RoomName) -> None:
        """Nobody is in the room any more: what holds while it is open ends, bans and removals stay."""
        self._put(room, self.of(room).emptied())
        self._index(room, "grant")

    def end(self, room: RoomName, wall: float) -> None:
        """A moderator ends what the room is now, on other instances too."""
        incarnation = self.of(room).incarnation
        if incarnation:
            self._write_lasting(room, "ended", incarnation, words.end(wall + END_MEMORY))
            self._remember_ends(room)

    def has_ended(self, room: RoomName, incarnation: str) -> bool:
        """Whether a moderator ended it while it was this incarnation."""
        return self.of(room).has_ended(incarnation)

    # --------------------------------------------------------------------------------------------- who may not enter

    def ban(self, room: RoomName, identity: Identity) -> None:
        """Refuse an identity until `unban`."""
        self._decide("ban", (room, identity), ON)

    def unban(self, room: RoomName, identity: Identity) -> bool:
        """Refuse it no longer; False if it was not banned."""
        return self._lift("ban", (room, identity))

    def is_banned(self, room: RoomName, identity: Identity) -> bool:
        """Whether a ban stands."""
        return (room, identity) in self._decided["ban"]

    def banned(self, room: RoomName) -> list[Identity]:
        """Who is banned from a room."""
        return self._decided["ban"].of_room(room)

    def remove(self, room: RoomName, identity: Identity, wall: float, expires: float) -> None:
        """Refuse the tokens of an identity that were issued until now; the one we know of `expires` then."""
        self._decide("removal", (room, identity), words.removal(wall, max(wall + self._memory, expires + LEEWAY)))

    def is_removed(self, claims: Claims, wall: float) -> bool:
        """Whether this token was issued before its identity was removed. One that does not say when, was."""
        who = (claims.room, claims.identity)
        if who not in self._decided["removal"]:
            return False
        at, until = self._removal(who)
        if wall >= until:
            self._lift("removal", who)
            return False
        if claims.issued is not None and claims.issued >= at:
            return False
        if claims.expires + LEEWAY > until:
            self._decide("removal", who, words.removal(at, claims.expires + LEEWAY))
        return True

    def sweep(self, wall: float) -> None:
        """Forget what refuses nothing any more. Looks once a minute, however often it is called."""
        if wall - self._swept < SWEEP_EVERY:
            return
        self._swept = wall
        for room in list(self._decided["removal"].rooms()):
            self._forget_removals(room, wall)
        for room in [room for room, until in self._ends.items() if wall >= until]:
            del self._ends[room]
            settings = self.of(room)
            for key in list(settings.lasting.keys("ended")):
                settings = settings.remove_lasting(*key)
            self._put(room, settings)

    def _forget_removals(self, room: RoomName, wall: float) -> None:
        standing: dict[str, float] = {}  # until when each is remembered; in one go, for there may be thousands
        for key, value in self.of(room).lasting.of_kind("removal"):
            standing[key[1]] = max(words.read_removal(value).until, standing.get(key[1], 0.0))
        over = [Identity(identity) for identity, until in standing.items() if wall >= until]
        for identity in over:
            self._decided["removal"].discard((room, identity))
        if over:
            self._put(room, self.of(room).remove_lasting("removal", *over))

    # -------------------------------------------------------------------------------------------- changed permissions

    def change_grant(self, room: RoomName, identity: Identity, grant: Grant, wall: float) -> None:
        """Have this grant hold in place of that of every token issued before."""
        self._decide("grant", (room, identity), words.change(grant, wall))

    def grant_of(self, claims: Claims) -> Grant:
        """What a token allows, unless a moderator changed it since."""
        if (claims.room, claims.identity) not in self._decided["grant"]:
            return claims.grant
        changed = words.read_change(self.of(claims.room).grant(claims.identity) or "")
        return claims.grant if claims.issued is not None and claims.issued >= changed.at else changed.grant

    # ------------------------------------------------------------------------------------------------------ writing

    def _removal(self, who: Who) -> words.Removal:
        """How somebody was removed; the later one of several."""
        removals = [words.read_removal(value) for value in self.of(who[0]).removals(who[1])]
        return words.Removal(max(one.at for one in removals), max(one.until for one in removals))

    def _decide(self, kind: Kind, who: Who, value: str) -> None:
        room, identity = who
        write = self._write_open if kind == "grant" else self._write_lasting
        write(room, kind, identity, value)
        forgotten = self._decided[kind].add(who)
        if forgotten is not None:
            self._take_away(kind, forgotten)

    def _lift(self, kind: Kind, who: Who) -> bool:
        if not self._decided[kind].discard(who):
            return False
        self._take_away(kind, who)
        return True

    def _take_away(self, kind: Kind, who: Who) -> None:
        settings = self.of(who[0])
        self._put(
            who[0], settings.remove_open(kind, who[1]) if kind == "grant" else settings.remove_lasting(kind, who[1])
        )

    def _write_open(self, room: RoomName, kind: str, name: str, value: str) -> None:
        self._put(room, self.of(room).put_open(kind, name, value, self._writer(), self._clock))

    def _write_lasting(self, room: RoomName, kind: str, name: str, value: str) -> None:
        self._put(room, self.of(room).put_lasting(kind, name, value, self._writer(), self._clock))

    def _put(self, room: RoomName, settings: RoomSettings) -> None:
        if settings == self.of(room):
            return
        self._clock = max(self._clock, settings.newest)
        self._changed[room] = None
        if settings or settings.incarnation:
            self._settings[room] = settings
        else:
            self._settings.pop(room, None)

    def _index(self, room: RoomName, kind: Kind) -> None:
        """Find those of a kind anew whom something is decided about in a room."""
        decided, settings = self._decided[kind], self.of(room)
        now = [Identity(key[1]) for key in (settings.open if kind == "grant" else settings.lasting).keys(kind)]
        for identity in set(decided.of_room(room)).difference(now):
            decided.discard((room, identity))
        for identity in now:
            forgotten = decided.add((room, identity))
            if forgotten is not None:
                self._take_away(kind, forgotten)

    def _remember_ends(self, room: RoomName) -> None:
        lasting = self.of(room).lasting
        ends = [words.read_end(lasting.values(key)[-1][1]) for key in lasting.keys("ended")]
        if ends:
            self._ends[room] = max(ends)
