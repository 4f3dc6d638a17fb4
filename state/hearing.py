"""Hearing: what other instances say, taken into the view and told on: notes, slices that were fetched, who is gone.

News of a room is told at once while we are clustered. Before that only the room is remembered, for the end of the
reconciliation; what holds in it is told in any case, since a ban should not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass

from . import wire
from .junk import Junk
from .model import NodeId, RoomName
from .news import Heard, NewsList, NodesChanged, SettingsHeard
from .notes import Notes
from .ours import Ours
from .reconciliation import Reconciliation
from .slices import NO_SETTINGS
from .store import Fetched, FetchSlices
from .view import View
from .wire import Changed, NodeRecord, Note, Said, WireError


@dataclass
class Hearing:
    """What comes from others goes through here. Every `now` is in seconds of one monotonic clock."""

    view: View
    ours: Ours
    notes: Notes
    reconciliation: Reconciliation
    junk: Junk
    news: NewsList
    counts: MutableMapping[str, int]
    deny: Callable[[RoomName, float], None]  # say that we are not in a room, to those who believe it

    def came(self, room: RoomName) -> None:
        """The first of ours came into this room: what holds for those in it was none of our business until now."""
        self.view.came(room)
        for settings in self.view.settings(room):
            self.news.tell(SettingsHeard(room, settings, late=True))

    def received(self, texts: Iterable[str], now: float) -> None:
        """Notes from our inbox, in their order."""
        for text in texts:
            try:
                self._hear(wire.parse_note(text), now)
            except WireError as error:
                self.junk.found([f"a note: {error}"], now)

    def fetched(self, fetch: FetchSlices, reply: Fetched, now: float) -> None:
        """Slices were read."""
        fresh, unreadable = self.view.fetched(fetch.room, reply.slices, fetch.nodes)
        self.junk.found([*reply.junk, *unreadable], now)
        for node in fresh:
            self._said(fetch.room, node, now)
        self.view.handed_on(fetch.room)

    def announced(self, nodes: Iterable[NodeRecord], now: float) -> None:
        """The store told who holds a lease."""
        members = self.view.members
        if members.announced(nodes, now):
            self.news.tell(NodesChanged())
        while members.replaced:
            for room in self.view.forget_node(members.replaced.pop()):
                self._room_changed(room)

    def bury(self, now: float) -> None:
        """Take those away who have been missing for too long."""
        if gone := self.view.members.gone(now):
            self.news.tell(NodesChanged())
        for room in self.view.bury(now, everywhere=bool(gone)):
            self._room_changed(room)

    def _hear(self, note: Note, now: float) -> None:
        if note.node == self.view.members.me:
            return
        if note.room not in self.ours:
            if isinstance(note, Changed):
                self.deny(note.room, now)
            return
        match note:
            case Changed():
                outcome = self.view.heard(note)
                if outcome == "applied":
                    self._said(note.room, note.node, now)
                else:
                    self.counts["stale_notes" if outcome == "stale" else "gaps"] += 1
            case Said():
                if self.notes.is_first(note):
                    self.news.tell(Heard(note.room, note.payload))

    def _said(self, room: RoomName, node: NodeId, now: float) -> None:
        """What an instance says of a room is new."""
        self.reconciliation.heard(now)
        self.view.members.heard_of(node, now)
        settings = self.view.room(room).slices[node].settings
        if not self.view.own_members.get(room):
            settings = settings.lasting_only()
        if settings != NO_SETTINGS:  # that something was taken away is news, too
            self.news.tell(SettingsHeard(room, settings, late=self.view.is_unheard(room)))
        self._room_changed(room)

    def _room_changed(self, room: RoomName) -> None:
        if self.view.is_connected():
            self.news.room_changed(room)
        else:
            self.reconciliation.changed.add(room)
