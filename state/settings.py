"""What holds for a room as a whole, as every instance writes it and all of them merge it.

Two maps, because they live for different times. `open` holds while somebody is in the room: lock, waiting room,
changed permissions, metadata. `lasting` holds until it is lifted: bans, removals, the incarnations that a moderator
ended. When a room empties, its instance *forgets* the first, dots and context, instead of removing what is in it: an
idle end says nothing about the room elsewhere, so it must not undo a lock there.

Of values written apart, a flag is on if any of them is (the most restrictive wins), a ban stands if any of them does,
and metadata is what the larger (counter, writer) says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .causal import CausalMap, Value

FLAGS = ("locked", "waiting_room")
ON, OFF = "true", "false"
NO_VALUES = CausalMap()


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """The settings of one room; immutable."""

    open: CausalMap = NO_VALUES
    lasting: CausalMap = NO_VALUES
    incarnation: str = ""  # of the room while it is open: of two that met, the smaller one

    # ------------------------------------------------------------------------------------------------- questions

    def flag(self, name: str) -> bool:
        """Whether a safety flag is on."""
        return any(value == ON for _, value in self.open.values(("flag", name)))

    def metadata(self) -> Mapping[str, Value]:
        """The metadata of the room: field -> JSON text."""
        return {key[1]: self.open.values(key)[-1][1] for key in self.open.keys("metadata")}

    def grant(self, identity: str) -> Value | None:
        """What a moderator changed somebody's permissions to."""
        values = self.open.values(("grant", identity))
        return values[-1][1] if values else None

    def is_banned(self, identity: str) -> bool:
        """Whether a ban stands."""
        return bool(self.lasting.values(("ban", identity)))

    def banned(self) -> Iterator[str]:
        """Who is banned, those first who were longest ago."""
        return (key[1] for key in self.lasting.keys("ban"))

    def removals(self, identity: str) -> list[Value]:
        """Every removal of somebody that stands; several if they were decided apart."""
        return [value for _, value in self.lasting.values(("removal", identity))]

    def has_ended(self, incarnation: str) -> bool:
        """Whether a moderator ended the room while it was this incarnation."""
        return bool(incarnation) and bool(self.lasting.values(("ended", incarnation)))

    def conflicts_by_kind(self) -> Counter[str]:
        """How many keys have values that were written apart, by the kind of the key."""
        entries = [entry for part in self._parts() for entry in part.entries.values()]
        return Counter(entry.key[0] for entry in entries) - Counter(
            kind for kind, _ in {entry.key for entry in entries}
        )

    @property
    def newest(self) -> int:
        """The largest counter of all that was ever written here, as far as it was seen."""
        return max((*self.open.context.values(), *self.lasting.context.values()), default=0)

    def __bool__(self) -> bool:
        """Whether anything holds."""
        return bool(self.open) or bool(self.lasting)

    # --------------------------------------------------------------------------------------------------- changes

    def put_open(self, kind: str, name: str, value: Value, writer: str, floor: int = 0) -> RoomSettings:
        """Write what holds while somebody is in the room."""
        return replace(self, open=self.open.put((kind, name), value, writer, floor))

    def remove_open(self, kind: str, name: str) -> RoomSettings:
        """Take it away."""
        return replace(self, open=self.open.remove((kind, name)))

    def put_lasting(self, kind: str, name: str, value: Value, writer: str, floor: int = 0) -> RoomSettings:
        """Write what holds until it is lifted."""
        return replace(self, lasting=self.lasting.put((kind, name), value, writer, floor))

    def remove_lasting(self, kind: str, *names: str) -> RoomSettings:
        """Lift it."""
        return replace(self, lasting=self.lasting.remove(*((kind, name) for name in names)))

    def with_incarnation(self, incarnation: str) -> RoomSettings:
        """The room was opened."""
        return replace(self, incarnation=incarnation)

    def emptied(self) -> RoomSettings:
        """What is left when the last one left: the rest is forgotten, not removed."""
        return RoomSettings(lasting=self.lasting)

    def lasting_only(self) -> RoomSettings:
        """What still holds of settings whose writer has been gone for long."""
        return RoomSettings(lasting=self.lasting)

    def merge(self, other: RoomSettings) -> RoomSettings:
        """All that both know. Associative, commutative, idempotent."""
        incarnations = [one for one in (self.incarnation, other.incarnation) if one]
        return RoomSettings(
            self.open.merge(other.open), self.lasting.merge(other.lasting), min(incarnations, default="")
        )

    def _parts(self) -> tuple[CausalMap, CausalMap]:
        return self.open, self.lasting
