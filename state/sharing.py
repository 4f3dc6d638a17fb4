"""Sharing: keeps what this instance owns and what the store has in step, and never lets anybody wait for it.

It is a machine without I/O. Changes of ours, answers of the store, notes from the inbox and the time go in; requests
to the store and events for the control plane come out. What we say is kept in own.py, what others say in view.py;
asking.py tells what goes to the store, hearing.py what comes from the others. Here is who we are, how well we stand
with the others, and what a change of that means for all of them.

While the circuit is open only the announcement goes out, as a trial. When the store is back, everything of ours is
written anew under a new epoch, spread over a moment, what others said is listed and fetched, and the modes go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import wire
from .asking import Asking
from .guard import CircuitState, Guard, Transition
from .hearing import Hearing
from .junk import Junk
from .lease import Lease
from .membership import Membership
from .model import NodeId, Participant, ParticipantId, RoomName
from .modes import Mode, ModeChange, Modes
from .news import CircuitMoved, ModeMoved, News, NewsList, Renamed
from .notes import Notes
from .ours import Ours
from .own import OwnSlice
from .pending import Pending
from .reconciliation import Reconciliation
from .settings import RoomSettings
from .store import Announce, Announced, Fetched, FetchSlices, Reply, StoreError, WriteSlice, Written
from .timing import Timing
from .view import View
from .wire import NodeRecord, Said

Randomness = Callable[[int], bytes]
DEFAULT_TIMING = Timing()


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
        self.guard = guard(self._circuit_moved)
        self.modes = modes
        self._random = random
        self._name = record.node
        self.record = wire.change_record(record, node=self._new_id(), nonce=random(16).hex())
        self.epoch = 1
        self.members = Membership(self.record.node, 2 * timing.lease)
        self.view = View(self.members, self._is_clustered, timing)
        self.ours = Ours(timing)
        self.notes = Notes(timing.max_notes)
        self.reconciliation = Reconciliation(timing, now)
        self.counts = dict.fromkeys(
            (
                "fenced",
                "stale_writes",
                "behind_writes",
                "stale_notes",
                "gaps",
                "unreadable",
                "flushed",
                "denials",
                "inbox_failures",
            ),
            0,
        )
        self._news = NewsList()
        self._junk = Junk(self.counts, self._news.tell)
        self._lease = Lease(timing, now)
        self._holds_lease = False
        self._asking = Asking(self.guard, self._lease, self.ours, self.view, self.notes, timing)
        self._hearing = Hearing(
            self.view, self.ours, self.notes, self.reconciliation, self._junk, self._news, self.counts, self._deny
        )
        self._told = False  # whether the mode was one that people hear of, at the last tick

    # ------------------------------------------------------------------------------------------------ what we own

    def change(self, room: RoomName, members: Mapping[ParticipantId, Participant | None], now: float) -> None:
        """These members of ours are so now; None: gone."""
        own = self._slice(room, now)
        was_empty = not own.members
        own.change(members, now)
        self.ours.schedule(own, now)
        if was_empty and own.members:
            self._hearing.came(room)

    def set_settings(self, room: RoomName, settings: RoomSettings, now: float) -> None:
        """What we know to hold in a room."""
        if room in self.ours or settings:
            own = self._slice(room, now)
            own.set_settings(settings, now)
            self.ours.schedule(own, now)

    def watch(self, room: RoomName, until: float, now: float) -> None:
        """Learn who is in a room at other instances, though nobody of ours is: somebody here wants to get in."""
        own = self._slice(room, now)
        if own.watched_until < until:
            own.watched_until = until
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
        self._asking.forget(now)
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
            self._news.tell(ModeMoved(self.modes.again(now)))
        self._told = self.modes.announced
        if self._has_reconciled(now) and (done := self.modes.reconciled(now)) is not None:
            self._moved(done, now)
        if self._is_clustered() and self._lease.is_fresh(now):
            self._hearing.bury(now)

    def take_requests(self, now: float) -> list[Pending]:
        """What to ask the store now. Call this after everything that went in."""
        self._holds_lease = self._lease.is_held(now)
        if self._lease.is_due(now):
            shares, clustered = self.modes.mode.shares, self._is_clustered()
            self.record = wire.change_record(self.record, shares=shares, clustered=clustered)
            self._asking.announce(Announce(self.record, self.timing.lease), now)
        if self.listens:
            self._asking.exchange(self.record.node, self.epoch, now)
        return self._asking.take()

    @property
    def listens(self) -> bool:
        """Whether the inbox should be read now, and anything but the announcement be asked."""
        return self.modes.mode.shares and self.guard.state is CircuitState.CLOSED and self._holds_lease

    def take_events(self) -> list[News]:
        """What happened."""
        return self._news.take()

    def answered(self, id: int, reply: Reply, now: float) -> None:
        """The store answered."""
        match self._asking.answered(id, now), reply:
            case Announce(), Announced():
                self._announced(reply, now)
            case WriteSlice() as write, Written():
                self._written(write, reply, now)
            case FetchSlices() as fetch, Fetched():
                self._hearing.fetched(fetch, reply, now)

    def failed(self, id: int, error: StoreError, now: float) -> None:
        """The store did not answer, or not well; nobody knows what became of the request."""
        self._asking.failed(id, error, now)

    def received(self, texts: list[str], now: float) -> None:
        """Notes from our inbox, in their order."""
        self._hearing.received(texts, now)

    # ------------------------------------------------------------------------------------------------------ answers

    def _announced(self, reply: Announced, now: float) -> None:
        self._junk.found(reply.junk, now)
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
        self._hearing.announced(reply.nodes, now)

    def _written(self, write: WriteSlice, reply: Written, now: float) -> None:
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

    # ------------------------------------------------------------------------------------------------ modes, epochs

    def _is_clustered(self) -> bool:
        return self.modes.mode is Mode.CLUSTERED

    def _circuit_moved(self, transition: Transition) -> None:
        if transition.after is CircuitState.OPEN:
            self._lease.reachable = False
        self._news.tell(CircuitMoved(transition))

    def _moved(self, change: ModeChange, now: float) -> None:
        if change.mode.shares:
            self._lease.next = now  # others may expect us to keep up again, or send people here
        if change.mode is Mode.RECONCILING:
            self.reconciliation.begin(now)
            self._begin_anew(now)
        rooms = self.reconciliation.end(now) if change.mode is Mode.CLUSTERED else ()
        self._news.tell(ModeMoved(change, rooms))

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
        self._asking.forget(now)
        self.ours.rename(now)
        self._news.tell(Renamed(before, self.record.node))

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
