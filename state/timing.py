"""The pace of sharing: how often what is said again, how long it lives, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The pace of it. All in seconds, but for the counts at the end."""

    canary: float = 0.5  # between two announcements while all is well
    canary_in_doubt: float = 0.1  # after one failed
    canary_while_away: float = 1.0
    lease: float = 15.0
    renew: float = 5.0  # a slice with somebody in it, at least so often
    renew_empty: float = 600.0  # one that only holds bans
    slice_life: float = 60.0
    empty_life: float = 30.0  # of a slice that says that nobody is left
    lasting_life: float = 24 * 3600.0  # of one that holds bans
    retry: float = 0.5  # after a write or a fetch that failed
    spread: float = 1.0  # within which everything is written anew
    settle: float = 2.0  # for others to do the same, after the store's return
    settle_most: float = 6.0
    outdated: float = 15.0  # a slice with somebody in it that was not renewed for so long is not kept up
    unlisted: float = 7.0  # one that is not kept up for so long, or not listed by the store, has lost its members
    inbox_life: float = 60.0
    max_writes: int = 32  # at once
    max_fetches: int = 32  # likewise
    max_notes: int = 4096  # that wait to be posted, and that an inbox keeps
    notes_per_post: int = 64
