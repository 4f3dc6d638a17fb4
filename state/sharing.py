"""Sharing: keeps what this instance owns and what the store has in step, and never lets anybody wait for it.

It is a machine without I/O. Changes of ours, answers of the store, notes from the inbox and the time go in; calls to
the store and events for the control plane come out. What others say is kept in view.py, what we say in own.py; here
is the order of things: when to announce, to write, to fetch and to tell, and what a change of mode means for all of
them.

While the circuit is open only the announcement goes out, as a trial. When the store is back, everything of ours is
written anew under a new epoch, spread over a moment, what others said is listed and fetched, and the modes go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import wire
from .calls import Call as Call
from .calls import Calls
from .guard import CircuitState, Guard, Transition
from .junk import Junk
from .lease import Lease
from .membership import Membership
from .model import NodeId, Participant, ParticipantId, RoomName
from .modes import Mode, ModeChange, Modes
from .news import CircuitMoved, Heard, ModeMoved, News, NodesChanged, Renamed, RoomChanged, SettingsHeard
from .notes import Notes
from .ours import Ours
from .own import OwnSlice
from .reconciliation import Reconciliation
from .settings import RoomSettings
from .slices import NO_SETTINGS
from .store import Announce, Announced, Fetched, FetchSlices, Post, Reply, StoreError, WriteSlice, Written
from .timing import Timing
from .view import View
from .wire import Changed, NodeRecord, Note, Said, WireError

Randomness = Callable[[int], bytes]
DEFAULT_TIMING = Timing()
SHARING = (Mode.CLUSTERED, Mode.RECONCILING)  # the modes in which what happens here is written at once


class Sharing:
    """One instance's part in the sharing. `now` is always in seconds on one monotonic clock."""

    def __init__(
        self,
        record: NodeRecord,
        *,
        guard: Callable[[Callable[[Transition], None]], Guard],
        modes: Modes,
        random: Randomness,
        now: float,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """`record.node` is the name of the instance; random letters are added to it."""
        self.timing = timing
        self.guard = guard(lambda transition: self._circuit_moved(transition))
        self.modes = modes
        self._random = random
        self._name = record.node
        self.record = wire.change_record(record, node=self._new_id(), nonce=random(16).hex())
        self.members = Membership(self.record.node, 2 * timing.lease)
        self.view = View(self.members, lambda: self.modes.mode is Mode.CLUSTERED, timing)
        self.ours = Ours(timing)
        self.epoch = 1
        self.counts = dict.fromkeys(
            ("fenced", "stale_writes", "behind_writes", "stale_notes", "gaps", "unreadable", "flushed", "denials"), 0
        )
        self.reconciliation = Reconciliation(timing, now)
        self._calls = Calls(self.guard)
        self._events: list[News] = []
        self._junk = Junk(self.counts, lambda news: self._events.append(news))
        self._writes = 0
        self.notes = Notes(timing.max_notes)
        self._posting = False
        self._lease = Lease(timing, now)
        self._holds_lease = False
        self._next_fetch = now
        self._told = False  # whether the mode was one that people hear of, at the last tick

    # ------------------------------------------------------------------------------------------------ what we own

    def change(self, room: RoomName, members: Mapping[ParticipantId, Participant | None], now: float) -> None:
        """These members of ours are so now; None: gone."""
        own = self._slice(room, now)
        was_empty = not own.members
        own.change(members, now)
        self.ours.schedule(own, now)
        if was_empty and own.members:  # what holds for those in a room was none of our business until now
            self.view.came(room)
            self._events.extend(SettingsHeard(room, settings, late=True) for settings in self.view.settings(room))

    def set_settings(self, room: RoomName, settings: RoomSettings, now: float) -> None:
        """What we know to hold in a room."""
        if room in self.ours or settings:
            own = self._slice(room, now)
            own.set_settings(settings, now)
            self.ours.schedule(own, now)

    def say(self, room: RoomName, payload: str, to: NodeId | None = None) -> bool:
        """Tell the other instances with the room, or one of them, something that is no state. It may be lost.

        Returns whether there was anybody to tell it to.
        """
        if not self.listens:
            return False
        targets = [to] if to is not None else self.view.interested(room)
        self.notes.put(targets, Said(room=room, node=self.record.node, id=self._random(10).hex(), payload=payload))
        return bool(targets)

    def set_record(self, now: float, **changes: object) -> None:
        """Say something else of this instance; at once if it accepts others or not."""
        before, self.record = self.record, wire.change_record(self.record, **changes)
        if before.accepting != self.record.accepting:
            self._lease.next = now

    def try_now(self, now: float) -> None:
        """Look at once whether the store is there: an operator let go of its circuit."""
        self._lease.next = now

    def start_over(self, now: float) -> None:
        """A fault of ours broke off what was under way, so nobody knows what is left of it: ask everything anew."""
        self._forget_calls(now)
        for own in self.ours:
            own.failed(now, now)
        self._begin_anew(now)

    def leave(self, now: float) -> None:
        """This instance is about to end: nobody is here any more. What lasts stays."""
        self.ours.empty(now)

    def farewell(self) -> Announce:
        """The last request of all: end the lease."""
        return Announce(self.record, self.timing.lease, leaving=True)

    @property
    def writer(self) -> str:
        """A name for settings that are written here. No other process has it, not even one that took our id."""
        return f"{self._name}-{self.record.nonce[:16]}"

    @property
    def is_stored(self) -> bool:
        """The store has all that we have to say."""
        return not self.notes and self.ours.are_stored

    # -------------------------------------------------------------------------------------------- what comes and goes

    def tick(self, now: float) -> None:
        """Time went on; call this some ten times a second."""
        self.guard.tick(now)
        why = self.guard.reason or self._lease.why or self.guard.last_error or self.modes.reason
        healthy = self._lease.reachable and self.guard.state is CircuitState.CLOSED
        if (change := self.modes.update(now, healthy=healthy, reason="" if healthy else why)) is not None:
            self._moved(change, now)
        elif self.modes.announced and not self._told and self.modes.degraded:
            # The store was away from the start, and by now it has been for so long that people should know.
            self._events.append(ModeMoved(self.modes.again(now)))
        self._told = self.modes.announced
        if self._has_reconciled(now) and (done := self.modes.reconciled(now)) is not None:
            self._moved(done, now)
        if self.modes.mode is Mode.CLUSTERED and self._lease.is_fresh(now):
            self._bury(now)

    def take_calls(self, now: float) -> list[Call]:
        """What to ask the store now. Call this after everything that went in."""
        self._holds_lease = self._lease.is_held(now)
        self._announce(now)
        if self.listens:
            self._write(now)
            self._fetch(now)
            self._post(now)
        return self._calls.take()

    def take_events(self) -> list[News]:
        """What happened."""
        events, self._events = self._events, []
        return events

    def answered(self, call: int, reply: Reply, now: float) -> None:
        """The store answered."""
        request = self._calls.answered(call, now)
        match request, reply:
            case Announce(), Announced():
                self._announced(reply, now)
            case WriteSlice() as write, Written():
                self._written(write, reply, now)
            case FetchSlices() as fetch, Fetched():
                self._fetched(fetch, reply, now)
            case Post(), _:
                self._posting = False

    def failed(self, call: int, error: StoreError, now: float) -> None:
        """The store did not answer, or not well; nobody knows what became of the request."""
        request = self._calls.failed(call, error, now)
        match request:
            case Announce():
                self._lease.failed(self.guard.state is CircuitState.CLOSED, error.reason, now)
            case WriteSlice(room=room):
                self._writes -= 1
                if (own := self.ours.slices.get(room)) is not None:
                    self.ours.retry(own, now)
            case FetchSlices(room=room):
                self.view.not_fetched(room)
                self._next_fetch = now + self.timing.retry
            case Post(notes=notes):
                self._posting = False
                self.notes.lost += len(notes)

    def received(self, texts: list[str], now: float) -> None:
        """Notes from our inbox, in their order."""
        for text in texts:
            try:
                self._hear(wire.parse_note(text), now)
            except WireError as error:
                self._junk.found([f"a note: {error}"], now)

    # ------------------------------------------------------------------------------------------------------ calling

    @property
    def listens(self) -> bool:
        """Whether the inbox should be read now, and anything but the announcement be asked."""
        mode = self.modes.mode
        return mode in SHARING and self.guard.state is CircuitState.CLOSED and self._holds_lease

    def _announce(self, now: float) -> None:
        if not self._lease.is_due(now):
            return
        mode = self.modes.mode
        self.record = wire.change_record(self.record, shares=mode in SHARING, clustered=mode is Mode.CLUSTERED)
        sent = self._calls.ask(Announce(self.record, self.timing.lease), now, early=True)
        self._lease.asked(sent, self.guard.state is CircuitState.CLOSED, now)

    def _write(self, now: float) -> None:
        while self._writes < self.timing.max_writes and (own := self.ours.take_due(now)) is not None:
            if self._calls.ask(own.next_write(self.record.node, self.epoch, self.ours.life(own), now), now):
                self._writes += 1
            else:
                self.ours.retry(own, now)

    def _fetch(self, now: float) -> None:
        if now < self._next_fetch:
            return
        while (behind := self.view.take_behind()) is not None:
            if not self._calls.ask(FetchSlices(*behind), now):
                self.view.not_fetched(behind[0])
                return

    def _post(self, now: float) -> None:
        if self.notes and not self._posting:
            notes = self.notes.take(self.timing.notes_per_post)
            self._posting = self._calls.ask(Post(notes, self.timing.max_notes, self.timing.inbox_life), now)

    # ------------------------------------------------------------------------------------------------------ answers

    def _announced(self, reply: Announced, now: float) -> None:
        self._junk.found(reply.junk, now)
        self._lease.answered(now)
        if reply.fenced:
            self._rename(now)
            return
        if not self._lease.reachable:
            self.members.returned(now)
        elif not reply.known:
            self.counts["flushed"] += 1
            self.members.returned(now)
            self._begin_anew(now)
        self._lease.renewed(now)
        if self.members.announced(reply.nodes, now):
            self._events.append(NodesChanged())
        while self.members.replaced:
            for room in self.view.forget_node(self.members.replaced.pop()):
                self._room_changed(room)

    def _written(self, write: WriteSlice, reply: Written, now: float) -> None:
        self._writes -= 1
        own = self.ours.slices.get(write.room)
        if own is None or own.writing is not write:
            return
        if reply.status == "fenced":
            self._rename(now)
            return
        if reply.status != "applied":
            self.counts["stale_writes" if reply.status == "stale" else "behind_writes"] += 1
        overtaken = own.is_overtaken(reply)
        note = own.answered(reply, now)
        if overtaken:  # by somebody who is none of us: an epoch that is higher counts
            self._begin_anew(now)
        self.view.listed(write.room, reply.listed, now, asked=own.asked, all_ours=own.is_stored)
        self.view.handed_on(write.room)
        if note is not None:
            self.notes.put(self.view.interested(write.room), note)
        if self.ours.settled(own, now):
            self.view.forget(write.room)
            self.reconciliation.changed.discard(write.room)

    def _fetched(self, fetch: FetchSlices, reply: Fetched, now: float) -> None:
        fresh, unreadable = self.view.fetched(fetch.room, reply.slices, fetch.nodes)
        self._junk.found([*reply.junk, *unreadable], now)
        for node in fresh:
            self._news(fetch.room, node, now)
        self.view.handed_on(fetch.room)

    def _hear(self, note: Note, now: float) -> None:
        if note.node == self.record.node:
            return
        if note.room not in self.ours:
            if isinstance(note, Changed):
                self._deny(note.room, now)
            return
        match note:
            case Changed():
                outcome = self.view.heard(note)
                if outcome == "applied":
                    self._news(note.room, note.node, now)
                else:
                    self.counts["stale_notes" if outcome == "stale" else "gaps"] += 1
            case Said():
                if self.notes.is_first(note):
                    self._events.append(Heard(note.room, note.payload))

    def _news(self, room: RoomName, node: NodeId, now: float) -> None:
        self.reconciliation.heard(now)
        self.members.heard_of(node, now)
        settings = self.view.room(room).slices[node].settings
        if not self.view.own_members.get(room):
            settings = settings.lasting_only()
        if settings != NO_SETTINGS:  # that something was taken away is news, too
            self._events.append(SettingsHeard(room, settings, late=self.view.is_unheard(room)))
        self._room_changed(room)

    def _room_changed(self, room: RoomName) -> None:
        if self.modes.mode is Mode.CLUSTERED:
            if RoomChanged(room) not in self._events[-2:]:  # whoever hears it looks at all that is known
                self._events.append(RoomChanged(room))
        else:
            self.reconciliation.changed.add(room)

    # ------------------------------------------------------------------------------------------------ modes, epochs

    def _circuit_moved(self, transition: Transition) -> None:
        if transition.after is CircuitState.OPEN:
            self._lease.reachable = False
        self._events.append(CircuitMoved(transition))

    def _moved(self, change: ModeChange, now: float) -> None:
        if change.mode in SHARING:
            self._lease.next = now  # others may expect us to keep up again, or send people here
        if change.mode is Mode.RECONCILING:
            self.reconciliation.begin(now)
            self._begin_anew(now)
        rooms = self.reconciliation.end(now) if change.mode is Mode.CLUSTERED else ()
        self._events.append(ModeMoved(change, rooms))

    def _has_reconciled(self, now: float) -> bool:
        exchanged = self.ours.are_stored and not self.view.is_behind
        return self.reconciliation.is_over(now, exchanged=exchanged, alone=not self.members.nodes)

    def _begin_anew(self, now: float) -> None:
        """Write all of ours again, spread over a moment: the store may have lost it, or have an older state."""
        self.epoch += 1
        self.ours.begin_anew(now, lambda: int.from_bytes(self._random(2), "big") / 65536)

    def _rename(self, now: float) -> None:
        before = self.record.node
        self.counts["fenced"] += 1
        self.record = wire.change_record(self.record, node=self._new_id(), nonce=self._random(16).hex())
        self.members.me = self.record.node
        self.epoch = 1
        self._forget_calls(now)
        self.ours.rename(now)
        self._events.append(Renamed(before, self.record.node))

    def _forget_calls(self, now: float) -> None:
        self._calls.forget()
        self._posting = self._lease.announcing = False
        self._writes = 0
        self._lease.next = now
        self.view.not_fetching()

    def _bury(self, now: float) -> None:
        if gone := self.members.gone(now):
            self._events.append(NodesChanged())
        for room in self.view.bury(now, everywhere=bool(gone)):
            self._room_changed(room)

    def _deny(self, room: RoomName, now: float) -> None:
        """Somebody believes that we are in this room: a store that went back in time may have said so. Say no."""
        self.counts["denials"] += 1
        own = self._slice(room, now)
        own.due = now + self.timing.retry  # most often our leaving and this note have just met
        self.ours.schedule(own, own.due)

    def _slice(self, room: RoomName, now: float) -> OwnSlice:
        own = self.ours.slice(room, now)
        self.view.room(room)
        self.view.own_members[room] = own.members
        return own

    def _new_id(self) -> NodeId:
        return NodeId(f"{self._name}-{self._random(5).hex()}")
