"""How a probe converses: it waits, asks and times its steps, and every wait ends at a time of its own.

A conversation is written as a generator, from top to bottom. It is told events with the time at which they happened and
answers with actions; nothing that a server sends raises anything.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from . import turn
from .events import Action, Broken, Connected, Event, Received, Send
from .report import Step, Verdict
from .turn import Key

T = TypeVar("T")
Outcome = TypeVar("Outcome")
Talk = Generator[float, Event, T]  # yields until when it waits

MAX_BYTES = 65_536  # that one probe listens to; what we ask for takes two thousand
LEAST_BYTES = 64  # that something counts for, be it empty: it costs us as much
STALE = 438  # RFC 8656: the nonce is to be replaced


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    resolve: float = 3.0
    connect: float = 3.0
    exchange: float = 3.0  # for one question
    resend: float = 0.4  # over UDP, and then after twice as long
    echoes: int = 5
    pace: float = 0.02  # between echoes
    echo: float = 1.5  # to wait for the last of them
    release: float = 1.0  # if so much is left of the whole
    whole: float = 5.0


class Failed(Exception):
    """A step failed: the verdict that follows from it, and why."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


class Conversation(ABC, Generic[Outcome]):
    """Call `begin`, then `handle` for each event and whenever `wake_at` has come, until there is a `report`.

    `random` gives that many unpredictable bytes.
    """

    def __init__(self, timing: Timing, random: Callable[[int], bytes], *, streams: bool) -> None:
        self.report: Outcome | None = None
        self.wake_at = math.inf
        self._timing, self._random = timing, random
        self._frames = turn.Frames() if streams else None
        self._talk = self._from_top_to_bottom()
        self._now = self._ends_at = 0.0
        self._actions: list[Action] = []
        self._listened = 0
        self._gone = False  # the connection
        self._heard = False  # an answer to anything
        self._heard_at: float | None = None  # whatever it was
        self._steps: list[Step] = []
        self._key: Key | None = None

    @abstractmethod
    def _from_top_to_bottom(self) -> Talk[Outcome]:
        """All of it, as a generator that ends with the report."""

    def begin(self, now: float) -> list[Action]:
        """Start; `now` in seconds on any steady clock."""
        self._now = now
        self._ends_at = now + self._timing.whole
        self.wake_at = next(self._talk)
        return self._take_actions()

    def handle(self, event: Event, now: float) -> list[Action]:
        """Go on. After the report nothing counts any more."""
        self._now = now
        self._gone = isinstance(event, Broken) or (self._gone and not isinstance(event, Connected))
        if isinstance(event, Received):
            self._heard_at = now
            self._listened += max(LEAST_BYTES, len(event.data))
            if self._listened > MAX_BYTES:
                event = Broken(Verdict.DOWN, "it sends more than a server has to say")
        if isinstance(event, Received) and self._frames is not None:
            try:
                frames = self._frames.feed(event.data)
            except turn.TurnError as error:
                self._step_on(Broken(Verdict.DOWN, str(error)))
            else:
                for frame in frames:
                    self._step_on(Received(frame))
        else:
            self._step_on(event)
        return self._take_actions()

    def _step_on(self, event: Event) -> None:
        if self.report is not None:
            return
        try:
            self.wake_at = self._talk.send(event)
        except StopIteration as end:
            self.wake_at = math.inf
            self.report = end.value

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    # ------------------------------------------------------------------------------------------------- what steps use

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began, error = self._now, ""
        try:
            yield
        except Failed as failed:
            error = failed.reason
            raise
        finally:
            self._steps.append(Step(name, self._now - began, error))

    def _forget_frames(self) -> None:
        """What was left half is no beginning of what another connection brings."""
        if self._frames is not None:
            self._frames = turn.Frames()

    def _next(self, until: float) -> Talk[Event]:
        event = yield min(until, self._ends_at)
        if isinstance(event, Broken):
            raise Failed(event.verdict, event.reason)
        return event

    def _wait_for(self, kind: type[T], seconds: float, otherwise: str) -> Talk[T]:
        began = self._now
        until = began + seconds
        while self._now < min(until, self._ends_at):
            event = yield from self._next(until)
            if isinstance(event, kind):
                return event
        raise Failed(Verdict.DOWN, f"{otherwise} in {self._now - began:.1f} s")

    def _ask_again_when_stale(self, build: Callable[[bytes], bytes], patience: float = math.inf) -> Talk[turn.Reply]:
        reply = yield from self._ask(build, self._key, patience)
        if reply.code == STALE and self._key is not None and reply.nonce:
            self._key = Key(self._key.username, self._key.password, reply.realm or self._key.realm, reply.nonce)
            reply = yield from self._ask(build, self._key, patience)
        return reply

    def _ask(self, build: Callable[[bytes], bytes], key: Key | None, patience: float = math.inf) -> Talk[turn.Reply]:
        """Send a request, again and again over UDP, until its answer is there; for `patience` seconds at most, and no
        longer than for any question.

        A success that `key` has not signed is none: somebody else said it (RFC 8489 section 9.2.5).
        """
        id = self._random(12)
        request = build(id)
        began = self._now
        until = began + min(patience, self._timing.exchange)
        pause = self._timing.resend if self._frames is None else math.inf
        again, forged = began, False
        while self._now < min(until, self._ends_at):
            if self._now >= again:
                self._actions.append(Send(request))
                again, pause = self._now + pause, 2 * pause
            event = yield from self._next(min(again, until))
            if isinstance(event, Received):
                reply = parsed(event.data)
                if isinstance(reply, turn.Reply) and reply.transaction == id:
                    self._heard = True
                    if reply.code or key is None or reply.is_signed_by(key):
                        return reply
                    forged = True
        what = "no answer that is signed" if forged else "no answer"
        raise Failed(Verdict.DOWN, f"{what} in {self._now - began:.1f} s")


def parsed(data: bytes) -> turn.Reply | turn.ChannelData | None:
    """What it says, if it says anything."""
    try:
        return turn.parse(data)
    except turn.TurnError:
        return None  # as if it had not come: over UDP anybody may have sent it
