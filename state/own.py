"""What this instance says about one room: what of it the store has, and what to write next.

At most one write is on its way. What changes meanwhile goes into the next one, so a busy room costs as many writes as
the store answers, not as many as it has changes. A write of which nobody knows whether it landed makes the next one a
whole slice: that is right whatever became of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .model import NodeId, Participant, ParticipantId, RoomName
from .settings import RoomSettings
from .slices import MEMBER, NO_SETTINGS, NOTHING, SETTINGS, Changes, Version, member_field, to_fields
from .store import WriteSlice, Written
from .wire import Changed

MAX_TOLD = 8192  # characters of a change that are told in a note; a larger one is fetched
MAX_SEQ = 2**40  # more changes than one instance makes in an epoch; what is larger, we did not write


@dataclass(slots=True)
class OwnSlice:
    """One slice of ours. Times are seconds on a monotonic clock."""

    room: RoomName
    members: dict[ParticipantId, Participant] = field(default_factory=dict)
    settings: RoomSettings = NO_SETTINGS
    version: Version = NOTHING  # of the last write
    stored: Version | None = None  # what the store has; None: nobody knows, or nothing
    dirty_since: float | None = None  # the oldest change that the store does not have
    due: float = 0.0  # when to write next
    asked: float = 0.0  # when the last write was sent
    watched_until: float = float("-inf")  # it is kept, though it says nothing, to learn who else is in the room
    writing: WriteSlice | None = None
    _dirty: set[str] = field(default_factory=set)
    _doubted: bool = False  # the write on its way may be lost, even if the store confirms it

    # --------------------------------------------------------------------------------------------------- changes

    def change(self, members: Mapping[ParticipantId, Participant | None], now: float) -> None:
        """These members are so now; None: gone."""
        for id, member in members.items():
            if member is None:
                self.members.pop(id, None)
            else:
                self.members[id] = member
        self._touch({member_field(id) for id in members}, now)

    def set_settings(self, settings: RoomSettings, now: float) -> None:
        """The settings are so now."""
        if settings != self.settings:
            self.settings = settings
            self._touch({SETTINGS}, now)

    def distrust(self, now: float, due: float) -> None:
        """Whatever the store has, write all anew at `due`."""
        self.stored = None
        self._doubted = self.writing is not None
        self.due = due
        self.dirty_since = now if self.dirty_since is None else self.dirty_since

    def _touch(self, fields: set[str], now: float) -> None:
        self._dirty |= fields
        self.due = min(self.due, now)
        self.dirty_since = now if self.dirty_since is None else self.dirty_since

    @property
    def is_empty(self) -> bool:
        """Nobody is here and nothing holds."""
        return not self.members and not self.settings

    @property
    def is_stored(self) -> bool:
        """The store has all that there is to say."""
        return self.stored == self.version and not self._dirty

    # ---------------------------------------------------------------------------------------------------- writing

    def next_write(self, node: NodeId, epoch: int, life: float, now: float) -> WriteSlice:
        """What to write now: the changes, the whole slice, or nothing but a renewal."""
        self.asked = now
        base, changes = self.stored, self._changes()
        if base is None or base.epoch != epoch:
            base = None
        if base is None or changes:
            seq = self.version.seq + 1 if self.version.epoch == epoch else 1
            self.version = Version(epoch, seq)
        self._dirty.clear()
        self.writing = WriteSlice(self.room, node, self.version, base, changes if base else self._fields(), life)
        return self.writing

    def is_overtaken(self, written: Written) -> bool:
        """Whether the store says that it has something newer in our name than all that we ever wrote in this epoch."""
        write = self.writing
        if write is None or write.base is not None or written.status != "stale":
            return False
        listed = written.listed.get(write.node)
        return listed is None or listed.version != write.version

    def answered(self, written: Written, now: float) -> Changed | None:
        """The store answered; what to tell those who want to know of it."""
        write, self.writing = self.writing, None
        doubted, self._doubted = self._doubted, False
        assert write is not None  # noqa: S101 - there is an answer to a write only
        listed = written.listed.get(write.node)
        if written.status == "applied" or (listed is not None and listed.version == write.version):
            if not doubted:
                self.stored = write.version
                if not self._dirty:
                    self.dirty_since = None
            return _note(write) if write.base != write.version else None
        self.distrust(now, now)
        if listed is not None and listed.version.epoch == self.version.epoch and listed.version.seq < MAX_SEQ:
            self.version = max(self.version, listed.version)
        return None

    def failed(self, now: float, due: float) -> None:
        """The write failed, or nobody knows."""
        self.writing = None
        self.distrust(now, due)

    def rename(self, now: float) -> None:
        """From now on this is the slice of an instance with another id, of which nothing is stored."""
        self.version = NOTHING
        self.writing = None
        self._dirty.clear()
        self.distrust(now, now)

    def _fields(self) -> dict[str, str]:
        return to_fields(self.members, self.settings)

    def _changes(self) -> Changes:
        if not self._dirty:
            return {}
        members = {id: member for id in self._dirty_members() if (member := self.members.get(id)) is not None}
        fields = to_fields(members, self.settings if SETTINGS in self._dirty else NO_SETTINGS)
        return {name: fields.get(name) for name in self._dirty}

    def _dirty_members(self) -> Iterator[ParticipantId]:
        return (ParticipantId(name.removeprefix(MEMBER)) for name in self._dirty if name != SETTINGS)


def _note(write: WriteSlice) -> Changed:
    size = sum(len(name) + len(text or "") for name, text in write.changes.items())
    return Changed(
        room=write.room,
        node=write.node,
        epoch=write.version.epoch,
        seq=write.version.seq,
        base=None if write.base is None else write.base.seq,
        fields=dict(write.changes) if size <= MAX_TOLD else None,
    )
