"""The ICE-lite agent of one peer: which checks are answered, and which path media takes (RFC 8445).

The client controls: its nominations choose the first path, and the DTLS handshake on it proves that somebody is there.
After that media moves only to a path that has answered a check of our own, so that nobody, member or not, can aim a
stream at an address that did not ask for it. Two things make us check a path:

- a nomination of at least the priority of the one in use (nominations of one client arrive in any order, so within a
  generation the highest PRIORITY wins, not the latest), and
- something authentic from elsewhere while the path in use is silent: a NAT has given the client another address, and
  not every browser nominates again then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from . import stun
from .candidates import candidate_priority

AnyPath = TypeVar("AnyPath")  # a sfu.path.Path; opaque here

# Chromium sends consent checks every 2.5 s, Firefox about every 5 s (RFC 7675 section 5.1).
DISCONNECTED_AFTER = 15.0
CLOSED_AFTER = 30.0
# Silence of the path in use after which another may take over. A client that sends media is heard every 20 ms, one
# that only receives about once a second: shorter would suspect the latter without need (a needless check, no more),
# longer would delay the move.
SILENT_AFTER = 0.6
# An unanswered check of ours is repeated, each time after twice as long: five times are 1.6 s. More tries bridge more
# loss, fewer send less to an address that a member made up.
_RETRY_INTERVAL = 0.1
_MAX_TRIES = 5
_MAX_CHECKS = 8
_UFRAG_BYTES = 6

RandomBits = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Credentials:
    """One side's half of one ICE generation; a restart makes a new one (RFC 8445 section 9)."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class Generation:
    """Both halves."""

    local: Credentials
    remote: Credentials


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a check: send `response`, and `check` if there is one, back to where it came from."""

    response: bytes
    authentic: bool
    nominated: bool = False
    check: bytes | None = None


@dataclass(slots=True)
class _OwnCheck(Generic[AnyPath]):
    """A check of ours that waits for its answer, and what its path becomes then."""

    path: AnyPath
    generation: Generation
    priority: int
    datagram: bytes
    due: float
    tries: int = 1


def new_credentials(random_bits: RandomBits) -> Credentials:
    """RFC 8445 section 5.3 asks for 24 bits in the ufrag and 128 in the password; hex digits are ice-chars."""
    return Credentials(f"{random_bits(8 * _UFRAG_BYTES):0{2 * _UFRAG_BYTES}x}", f"{random_bits(128):032x}")


def ufrag_of(transaction_id: bytes) -> str:
    """Whose check is answered by a response with this transaction id: ours begin with our ufrag."""
    return transaction_id[:_UFRAG_BYTES].hex()


class IceLite(Generic[AnyPath]):
    """All times are monotonic seconds. `random_bits` makes transaction ids that nobody can guess."""

    def __init__(self, local: Credentials, remote: Credentials, random_bits: RandomBits, now: float) -> None:
        self._generations = [Generation(local, remote)]
        self._random_bits = random_bits
        self._checks: dict[bytes, _OwnCheck[AnyPath]] = {}
        self._used: Generation | None = None
        self._priority = -1
        self.selected: AnyPath | None = None
        self.selected_heard = now
        """When something authentic last arrived on the path in use; media counts too, its receiver sets this."""
        self.proven = False
        """Whether the path in use has shown that somebody is there: from then on media moves by our checks only."""
        self.heard_at = now

    @property
    def credentials(self) -> Credentials:
        """Our newest half, for the next answer."""
        return self._generations[-1].local

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Every ufrag whose checks are still answered."""
        return tuple(generation.local.ufrag for generation in self._generations)

    def restart(self, local: Credentials, remote: Credentials) -> None:
        """Begin a generation. The one in use stays valid until the new one nominates; others end."""
        self._generations = ([self._used] if self._used else []) + [Generation(local, remote)]

    # ------------------------------------------------------------------------------------------- theirs

    def handle_check(self, check: stun.Binding, path: AnyPath, source: tuple[str, int], now: float) -> Verdict | None:
        """A binding request for one of our ufrags arrived on `path`. None: not authentic, say nothing."""
        ufrag = check.username.partition(":")[0]
        generation = next((known for known in self._generations if known.local.ufrag == ufrag), None)
        if generation is None or not check.is_authentic(generation.local.password):
            return None
        if check.controlled:
            return Verdict(stun.role_conflict_response(check, generation.local.password), authentic=False)
        self.heard_at = now
        response = stun.success_response(check, source, generation.local.password)
        moved, own = False, None
        if path == self.selected and generation is self._used:
            self.selected_heard = now
            if check.use_candidate:
                self._priority = max(self._priority, check.priority)
        elif check.use_candidate and self._is_better(generation, check.priority, now):
            if self.proven:
                own = self._check(path, generation, check.priority, now)
            else:
                moved = self._select(path, generation, check.priority, now)
        elif self.proven:
            own = self.consider(path, now)
        return Verdict(response, authentic=True, nominated=moved, check=own)

    def _is_better(self, generation: Generation, priority: int, now: float) -> bool:
        if self._used is None or generation is not self._used:
            # Of the two generations at most, the one not in use is the newer.
            return True
        return priority >= self._priority or now - self.selected_heard > SILENT_AFTER

    def _select(self, path: AnyPath, generation: Generation, priority: int, now: float) -> bool:
        """Use `path` from now on. True if it is another one."""
        changed = path != self.selected
        self.selected, self._priority, self.selected_heard = path, priority, now
        if generation is not self._used:
            # RFC 8445 section 9: the restart is complete, and what came before it ends.
            self._used = generation
            self._generations = self._generations[self._generations.index(generation) :]
        return changed

    # ------------------------------------------------------------------------------------------- ours

    def consider(self, path: AnyPath, now: float) -> bytes | None:
        """Something authentic arrived on another path. A check to send there, if the one in use is silent."""
        if self._used is None or not self.proven or now - self.selected_heard <= SILENT_AFTER:
            return None
        return self._check(path, self._used, self._priority, now)

    def lost(self, path: AnyPath) -> None:
        """`path` is closed: if media took it, the next one that something authentic comes by is asked at once."""
        if path == self.selected:
            self.selected_heard = -math.inf

    def _check(self, path: AnyPath, generation: Generation, priority: int, now: float) -> bytes | None:
        for pending in self._checks.values():
            if pending.path == path and pending.generation is generation:
                pending.priority = max(pending.priority, priority)
                return None  # it is on its way, and repeated by `due`
        if len(self._checks) >= _MAX_CHECKS:
            return None
        transaction_id = bytes.fromhex(generation.local.ufrag) + self._random_bits(48).to_bytes(6, "big")
        datagram = stun.binding_request(
            transaction_id,
            f"{generation.remote.ufrag}:{generation.local.ufrag}",
            generation.remote.password,
            # RFC 8445 section 7.1.1: the priority that a peer reflexive candidate of ours would have.
            candidate_priority("prflx"),
            self._random_bits(64),
            controlling=False,
        )
        self._checks[transaction_id] = _OwnCheck(path, generation, priority, datagram, now + _RETRY_INTERVAL)
        return datagram

    def due(self, now: float) -> list[tuple[AnyPath, bytes]]:
        """Our checks to send again now; those that nobody answers are given up."""
        again = []
        for transaction_id, check in list(self._checks.items()):
            if check.due > now:
                continue
            if check.tries >= _MAX_TRIES:
                del self._checks[transaction_id]
                continue
            check.due = now + _RETRY_INTERVAL * 2**check.tries
            check.tries += 1
            again.append((check.path, check.datagram))
        return again

    def handle_response(self, response: stun.Binding, path: AnyPath, now: float) -> bool:
        """An answer to a check of ours arrived on `path`, which media takes now. False if it is not believed."""
        check = self._checks.get(response.transaction_id)
        # Section 7.2.5.2.1: an answer from elsewhere than the check went to does not count.
        if check is None or check.path != path or not response.is_authentic(check.generation.remote.password):
            return False
        del self._checks[response.transaction_id]
        if check.generation not in self._generations:
            return False
        self.heard_at = now
        self._select(path, check.generation, check.priority, now)
        return True
