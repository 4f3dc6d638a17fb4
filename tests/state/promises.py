"""What must hold at every moment of a simulation, whatever the network does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from state.causal import Dot, Entry
from state.model import NodeId, Participant, ParticipantId, RoomName
from state.modes import Mode, ModeChange, Stays
from state.settings import RoomSettings
from state.sharing import Sharing
from state.slices import NOTHING, Version
from state.store import Reply, Request, WriteSlice, Written
from state.view import View
from tests.support.memory_store import MemoryStore

Members = Mapping[ParticipantId, Participant]
MOVES = {
    (Mode.STANDALONE, Mode.RECONCILING),
    (Mode.RECONCILING, Mode.STANDALONE),
    (Mode.RECONCILING, Mode.CLUSTERED),
    (Mode.CLUSTERED, Mode.STANDALONE),
}
MINIMUM = Stays().first


class Promises:
    """Looks at every step, and remembers what it needs for that."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.taken_ids: set[NodeId] = set()  # that two processes had: of these two slices may share a version
        self._said: dict[tuple[RoomName, NodeId, Version], Members] = {}
        self._in_store: dict[tuple[RoomName, NodeId], Version] = {}
        self._seen: dict[str, dict[tuple[RoomName, NodeId], Version]] = {}
        self._taken_away: set[tuple[Dot, Entry]] = set()
        self._moves: dict[str, ModeChange] = {}
        self._fell: set[str] = set()

    # ------------------------------------------------------------------------------- one writer, and nothing older

    def asked(self, sharing: Sharing, request: Request) -> None:
        """Somebody asks the store for something: no version of a slice is used for two contents."""
        if isinstance(request, WriteSlice) and request.node not in self.taken_ids:
            members = dict(sharing.ours.slices[request.room].members)
            said = self._said.setdefault((request.room, request.node, request.version), members)
            assert said == members, f"{request.node} says two things under {request.version}"

    def stored(self, store: MemoryStore, request: Request, reply: Reply) -> None:
        """The store carried out a request: no older version of a slice takes the place of a newer one."""
        if isinstance(request, WriteSlice) and isinstance(reply, Written):
            self.statuses[reply.status] += 1
            at = request.room, request.node
            if reply.status == "applied" and at[1] not in self.taken_ids:
                before = self._in_store.get(at, NOTHING)
                if request.node in store.rooms.get(request.room, {}) and before != NOTHING:
                    renewal = request.base == request.version
                    assert request.version > before or (renewal and request.version == before)
                self._in_store[at] = request.version

    def store_lost_writes(self) -> None:
        """The store forgot, and may be told again what it had."""
        self._in_store.clear()

    def seen(self, name: str, view: View) -> None:
        """Somebody heard something: it is what the owner said, and nothing older than what was seen before."""
        before = self._seen.get(name, {})
        now: dict[tuple[RoomName, NodeId], Version] = {}
        for room, remote in view.rooms.items():
            for node, one in remote.slices.items():
                at = room, node
                version = now[at] = one.version
                known = before.get(at)
                if known == version or node in self.taken_ids:
                    continue
                assert known is None or version > known, f"{name} sees {version} of {at} after {known}"
                if one.members:
                    said = self._said[room, node, version]
                    assert one.members == said, f"{name} sees of {at} at {version} what it did not say"
        self._seen[name] = now

    def forget(self, name: str) -> None:
        """An instance died."""
        self._seen.pop(name, None)
        self._moves.pop(name, None)
        self._fell.discard(name)

    # ----------------------------------------------------------------------------------------------------- settings

    def decided(self, before: RoomSettings, after: RoomSettings) -> None:
        """A moderator changed settings; what went, went knowingly."""
        for old, new in ((before.open, after.open), (before.lasting, after.lasting)):
            self._taken_away.update((dot, old.entries[dot]) for dot in old.entries.keys() - new.entries.keys())

    def merged(self, mine: RoomSettings, heard: RoomSettings, result: RoomSettings) -> None:
        """Settings were merged: nothing is gone that nobody took away knowingly."""
        for one in (mine, heard):
            for old, new in ((one.open, result.open), (one.lasting, result.lasting)):
                for dot in old.entries.keys() - new.entries.keys():
                    assert (dot, old.entries[dot]) in self._taken_away, f"a merge took {old.entries[dot]} away"

    # -------------------------------------------------------------------------------------------------------- modes

    def moved(self, name: str, change: ModeChange) -> None:
        """The mode of an instance changed: as is allowed, and not before its time."""
        if change.before is change.mode:
            return  # nothing moved: people are told of an outage that was there from the start
        if change.mode is change.before:
            return  # people are told late of what began long ago
        last = self._moves.get(name)
        assert (change.before, change.mode) in MOVES
        stayed = None if last is None else change.at - last.at
        if last is not None and stayed is not None:
            first = change.before is Mode.CLUSTERED and name not in self._fell
            if change.before is not Mode.RECONCILING and not first:
                assert stayed >= MINIMUM - 1e-6, f"{name} left {change.before} after {stayed:.2f} s"
        if change.before is Mode.CLUSTERED:
            self._fell.add(name)
        self._moves[name] = change
