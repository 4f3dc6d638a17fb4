"""A map that several instances write apart and that merges without loss: who wrote what, and what each write had seen.

Every write gets a dot, a number of its writer that is larger than all it has seen, and takes the place of what stood
there *and had been seen*. What two instances wrote apart from each other stands side by side until somebody who has
seen both writes again; which of the values counts is the reader's choice, and is made in settings.py. The context
remembers the largest number seen of each writer: so a value that one side lacks is told apart from one it took away.

This is the causal map of delta-state CRDTs (Almeida, Shoker, Baquero 2018) with a version vector as its context. That
is enough here, because a map is always shipped whole, and because whoever begins with an empty map writes under a new
name: nobody sees a writer's second write without its first. An instance that forgot a room and then wrote there as the
same writer would seem to have seen, and taken away, what it wrote before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

Key = tuple[str, str]  # what kind of thing, and which one
MAX_WRITERS = 256  # of whom nothing stands; beyond, the oldest are forgotten
Value = str  # JSON text, so that two values are the same if they look the same


class Dot(NamedTuple):
    """One write: larger dots are not older. Of writes that did not see each other the order means nothing."""

    counter: int
    writer: str


class Entry(NamedTuple):
    """What was written, and where."""

    key: Key
    value: Value


@dataclass(frozen=True, slots=True)
class CausalMap:
    """Values by key, with all that was written apart; immutable."""

    entries: Mapping[Dot, Entry] = field(default_factory=lambda: MappingProxyType({}))
    context: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # writer -> largest counter seen
    author: str = field(default="", compare=False)  # under which name this copy of the map is written; never shipped

    # ------------------------------------------------------------------------------------------------- questions

    def values(self, key: Key) -> list[tuple[Dot, Value]]:
        """All values that stand for `key`, oldest first; more than one if they were written apart."""
        return sorted((dot, entry.value) for dot, entry in self.entries.items() if entry.key == key)

    def keys(self, kind: str) -> Iterator[Key]:
        """The keys of one kind, each once, in the order in which they were last written."""
        last: dict[Key, Dot] = {}
        for dot, entry in self.entries.items():
            if entry.key[0] == kind:
                last[entry.key] = max(dot, last.get(entry.key, dot))
        return iter(sorted(last, key=lambda key: last[key]))

    def of_kind(self, kind: str) -> Iterator[Entry]:
        """All that stands of one kind, in no order."""
        return (entry for entry in self.entries.values() if entry.key[0] == kind)

    def __bool__(self) -> bool:
        return bool(self.entries)

    # --------------------------------------------------------------------------------------------------- changes

    def put(self, key: Key, value: Value, writer: str, floor: int = 0) -> CausalMap:
        """Write a value in place of all that are seen here.

        `writer` is a name that no other process uses. `floor` is the largest counter that `writer` ever used in any
        map; it makes the name of this copy one of its own, should the writer have forgotten an earlier one.
        """
        counter = max(floor, *self.context.values(), 0) + 1
        author = self.author or f"{writer}.{counter}"
        entries = {at: entry for at, entry in self.entries.items() if entry.key != key}
        entries[Dot(counter, author)] = Entry(key, value)
        return CausalMap(entries, _bounded({**self.context, author: counter}, entries), author)

    def remove(self, *keys: Key) -> CausalMap:
        """Take away all values that are seen here; one that is written elsewhere at the same time stays."""
        gone = set(keys)
        entries = {at: entry for at, entry in self.entries.items() if entry.key not in gone}
        return CausalMap(entries, self.context, self.author)

    def merge(self, other: CausalMap) -> CausalMap:
        """All that both know, to be written on as this copy. Associative, commutative, idempotent."""
        if self == other:
            return self
        kept = {
            dot: max(entry, theirs.entries.get(dot, entry))  # they differ only if two processes took one name
            for mine, theirs in ((self, other), (other, self))
            for dot, entry in mine.entries.items()
            if dot in theirs.entries or dot.counter > theirs.context.get(dot.writer, 0)
        }
        writers = {*self.context, *other.context}
        context = {writer: max(self.context.get(writer, 0), other.context.get(writer, 0)) for writer in writers}
        return CausalMap(kept, _bounded(context, kept), self.author)


def _bounded(context: Mapping[str, int], entries: Mapping[Dot, Entry]) -> Mapping[str, int]:
    """A context without the oldest of too many writers of whom nothing stands.

    Should somebody still have what such a writer wrote, it stands again beside what took its place: a flag that is on,
    a ban, metadata that is older. So this may restrict, and never relaxes.
    """
    if len(context) <= MAX_WRITERS:
        return context
    standing = {dot.writer for dot in entries}
    idle = sorted((counter, writer) for writer, counter in context.items() if writer not in standing)
    forgotten = {writer for _, writer in idle[:-MAX_WRITERS]}
    return {writer: counter for writer, counter in context.items() if writer not in forgotten}
