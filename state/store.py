"""The store: what an instance asks of the place where instances meet, and what it answers.

Requests are values, so that the same ones go to Redis (redis_store.py), to a store in the memory of a test, or into a
simulation that loses, repeats and reorders them. Every write carries the version that it makes, because a
write that timed out may still land later: the store refuses what is older than what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .model import NodeId, RoomName
from .slices import Changes, Fields, Version
from .wire import NodeRecord


@dataclass(frozen=True, slots=True)
class Announce:
    """Renew the lease of an instance and ask who else is there. It writes, for a store that is full still reads.

    `lease` in seconds; `leaving`: end it instead.
    """

    record: NodeRecord
    lease: float
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class WriteSlice:
    """Write version `version` of a slice: `changes` on top of `base`, or instead of all if `base` is None.

    No changes on top of the same version renew it. It lives for `life` seconds from now. Who leaves a room writes an
    empty slice instead of deleting it: a deleted one could be brought back by an older write that lands late.
    """

    room: RoomName
    node: NodeId
    version: Version
    base: Version | None
    changes: Changes
    life: float


@dataclass(frozen=True, slots=True)
class FetchSlices:
    """Read the slices of some instances."""

    room: RoomName
    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """Put notes into inboxes, in their order. Each inbox keeps the last `most` for at most `life` seconds."""

    notes: tuple[tuple[NodeId, str], ...]
    most: int
    life: float


Request = Announce | WriteSlice | FetchSlices | Post


@dataclass(frozen=True, slots=True)
class Announced:
    """`known`: the lease was still there, so nothing of ours was lost with it. `nodes`: all with a lease, us included.

    `fenced`: another process holds a lease under this id; ours was not written.
    """

    known: bool
    nodes: tuple[NodeRecord, ...]
    fenced: bool = False
    junk: tuple[str, ...] = ()  # why some of what stands there was ignored


@dataclass(frozen=True, slots=True)
class Listed:
    """A slice that the store has: its version, and the seconds since its instance last wrote or renewed it."""

    version: Version
    age: float


# applied; stale: it has this version or a later one of the same epoch; behind: it does not have `base`; fenced: it
# has a later epoch
Status = Literal["applied", "stale", "behind", "fenced"]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write, and the slices of that room that the store has now, all instances'."""

    status: Status
    listed: Mapping[NodeId, Listed]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The slices that were found."""

    slices: Mapping[NodeId, tuple[Version, Fields]]
    junk: tuple[str, ...] = ()  # why some of what stands there was ignored


@dataclass(frozen=True, slots=True)
class Posted:
    """The notes are in the inboxes."""


Reply = Announced | Written | Fetched | Posted


class StoreError(Exception):
    """A request failed, or nobody knows whether it did.

    `reason` is one word for a person and a label: `refused`, `timeout`, `reset`, `loading`, `read_only`, `full`,
    `denied`, … `lasting`: trying again is useless until somebody changes something, as with a wrong password. `ours`:
    it says nothing about the store, as when this process stood still.
    """

    def __init__(self, reason: str, text: str = "", *, lasting: bool = False, ours: bool = False) -> None:
        super().__init__(text or reason)
        self.reason = reason
        self.lasting = lasting
        self.ours = ours
