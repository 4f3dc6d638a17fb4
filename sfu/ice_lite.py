"""The ICE-lite agent of one peer: which checks are answered, and which address media goes to (RFC 8445).

We never check ourselves; the client controls, and its nominations choose the path. Setting aside section 8.1.2's
"the controlled agent ... uses the pair with the highest priority", of several nominated addresses the one whose
check carried the highest PRIORITY is used: nominations of one client arrive in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from . import stun

Path = TypeVar("Path")  # a local socket and a remote address; opaque here

# Chromium and Firefox send consent checks about every 5 s (RFC 7675 section 5.1) and several per second before that.
DISCONNECTED_AFTER = 15.0
CLOSED_AFTER = 30.0
# A nominated path without any check for so long may be replaced by one of lower priority.
_SILENT_AFTER = 7.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our half of one ICE generation; a restart makes a new one (RFC 8445 section 9)."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a check: send `response` back to where it came from; media may have a new path."""

    response: bytes
    authentic: bool
    nominated: bool = False


class IceLite(Generic[Path]):
    """All times are monotonic seconds."""

    def __init__(self, credentials: Credentials, now: float) -> None:
        self._generations = [credentials]
        self._selected_generation = -1
        self._selected_priority = -1
        self._selected_heard = now
        self.selected: Path | None = None
        self.heard_at = now

    @property
    def credentials(self) -> Credentials:
        """The newest generation, for the next answer."""
        return self._generations[-1]

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Every ufrag whose checks are still answered."""
        return tuple(generation.ufrag for generation in self._generations)

    def restart(self, credentials: Credentials) -> None:
        """Begin a generation. The one in use stays valid until the new one nominates; older ones end."""
        used = self._generations[self._selected_generation] if self._selected_generation >= 0 else None
        self._generations = ([used] if used else []) + [credentials]
        self._selected_generation = 0 if used else -1

    def handle_check(self, check: stun.Binding, path: Path, source: tuple[str, int], now: float) -> Verdict | None:
        """A binding request for one of our ufrags arrived on `path`. None: not authentic, say nothing."""
        ufrag = check.username.partition(":")[0]
        generation = next((n for n, known in enumerate(self._generations) if known.ufrag == ufrag), None)
        if generation is None:
            return None
        credentials = self._generations[generation]
        if not check.is_authentic(credentials.password):
            return None
        if check.controlled:
            return Verdict(stun.role_conflict_response(check, credentials.password), authentic=False)
        self.heard_at = now
        if path == self.selected:
            self._selected_heard = now
        nominated = check.use_candidate and self._nominate(generation, check.priority, path, now)
        return Verdict(stun.success_response(check, source, credentials.password), authentic=True, nominated=nominated)

    def _nominate(self, generation: int, priority: int, path: Path, now: float) -> bool:
        """Choose `path` if it is better than the one in use. True if that changes anything."""
        better = (generation, priority) >= (self._selected_generation, self._selected_priority)
        silent = now - self._selected_heard > _SILENT_AFTER
        if generation < self._selected_generation or not (better or silent):
            return False
        changed = path != self.selected
        self.selected = path
        self._selected_priority = priority
        self._selected_heard = now
        if generation != self._selected_generation:
            # "the previous selected pair" ends with the first nomination of the new generation.
            del self._generations[:generation]
            self._selected_generation = 0
        return changed
