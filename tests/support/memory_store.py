"""A store in memory with the rules of the one in Redis: what its scripts do, in Python and with time as an argument.

Both run through one suite, and the simulation runs on this one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from state.model import NodeId, RoomName
from state.slices import Version
from state.store import (
    Announce,
    Announced,
    Fetched,
    FetchSlices,
    Listed,
    Post,
    Posted,
    Reply,
    Request,
    Status,
    WriteSlice,
    Written,
)
from state.wire import NodeRecord


@dataclass(slots=True)
class Stored:
    """A slice with when it was renewed, and until when it is kept."""

    version: Version
    fields: dict[str, str]
    renewed: float
    until: float


@dataclass(slots=True)
class MemoryStore:
    """Leases, slices and inboxes. All times are seconds of one clock, the store's own."""

    leases: dict[NodeId, tuple[NodeRecord, float]] = field(default_factory=dict)
    rooms: dict[RoomName, dict[NodeId, Stored]] = field(default_factory=dict)
    inboxes: dict[NodeId, deque[str]] = field(default_factory=dict)

    def execute(self, request: Request, now: float) -> Reply:
        """Carry out one request."""
        match request:
            case Announce():
                return self._announce(request, now)
            case WriteSlice():
                return self._write(request, now)
            case FetchSlices(room, nodes):
                stored = self._room(room, now)
                return Fetched(
                    {node: (stored[node].version, dict(stored[node].fields)) for node in nodes if node in stored}
                )
            case Post():
                for node, text in request.notes:
                    inbox = self.inboxes.setdefault(node, deque())
                    inbox.append(text)
                    while len(inbox) > request.most:
                        inbox.popleft()
                return Posted()

    def take(self, node: NodeId) -> list[str]:
        """The notes in an inbox, oldest first; they are gone from it then."""
        return list(self.inboxes.pop(node, ()))

    def flush(self) -> None:
        """Lose everything, as FLUSHALL does."""
        self.leases.clear()
        self.rooms.clear()
        self.inboxes.clear()

    def _announce(self, request: Announce, now: float) -> Announced:
        self.leases = {node: held for node, held in self.leases.items() if held[1] > now}
        record = request.record
        held = self.leases.get(record.node)
        if held is not None and held[0].nonce != record.nonce:
            return Announced(True, self._nodes(), fenced=True)
        if request.leaving:
            self.leases.pop(record.node, None)
        else:
            self.leases[record.node] = (record, now + request.lease)
        return Announced(held is not None, self._nodes())

    def _nodes(self) -> tuple[NodeRecord, ...]:
        return tuple(record for record, _ in self.leases.values())

    def _write(self, request: WriteSlice, now: float) -> Written:
        stored = self._room(request.room, now)
        found = stored.get(request.node)
        status = _judge(found, request.version, request.base)
        if status == "applied":
            fields = {} if found is None or request.base is None else found.fields
            for name, text in request.changes.items():
                if text is None:
                    fields.pop(name, None)
                else:
                    fields[name] = text
            stored[request.node] = Stored(request.version, fields, now, now + request.life)
        return self._written(request.room, status, now)

    def _written(self, room: RoomName, status: Status, now: float) -> Written:
        stored = self._room(room, now)
        listed = {node: Listed(one.version, now - one.renewed) for node, one in stored.items()}
        if not stored:
            self.rooms.pop(room, None)
        return Written(status, listed)

    def _room(self, room: RoomName, now: float) -> dict[NodeId, Stored]:
        alive = {node: one for node, one in self.rooms.get(room, {}).items() if one.until > now}
        self.rooms[room] = alive
        return alive


def _judge(found: Stored | None, version: Version, base: Version | None) -> Status:
    if found is not None and found.version.epoch > version.epoch:
        return "fenced"
    if base is not None and (found is None or found.version != base):
        return "stale" if found is not None and found.version >= version else "behind"
    if base is None and found is not None and found.version >= version:
        return "stale"
    return "applied"
