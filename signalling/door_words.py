"""The words of doors: how each kind of thing that holds for a room is written, and read by whoever hears of it.

`state.settings` keeps values as JSON text without a meaning. Flags and bans are words of its own; the other kinds are
here, each with what writes it beside what reads it. Reading raises ValueError, RecursionError or ArithmeticError on
what we would not write. Times are seconds since 1970.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from state.causal import Value
from state.settings import RoomSettings

from .tokens import SOURCES, Grant


class Unreadable(ValueError):
    """What another instance is said to have written is not what any of us writes."""


# --------------------------------------------------------------------------------------------------------- metadata


def metadata(text: str) -> Value:
    """The text of one field."""
    return json.dumps(text)


def read_metadata(value: Value) -> str:
    """What `metadata` wrote."""
    match json.loads(value):
        case str() as text:
            return text
    raise ValueError("no text")


# --------------------------------------------------------------------------------------------------------- removals


class Removal(NamedTuple):
    """When somebody was removed, and until when that is remembered."""

    at: float
    until: float


def removal(at: float, until: float) -> Value:
    """A removal."""
    return json.dumps([at, until])


def read_removal(value: Value) -> Removal:
    """What `removal` wrote."""
    match json.loads(value):
        case [int() | float() as at, int() | float() as until] if math.isfinite(at) and math.isfinite(until):
            return Removal(at, until)
    raise ValueError("no removal")


# ---------------------------------------------------------------------------------------------- changed permissions


class Change(NamedTuple):
    """What somebody may do since a moderator said so, and when that was."""

    grant: Grant
    at: float


def change(grant: Grant, at: float) -> Value:
    """Changed permissions."""
    return json.dumps([sorted(grant.publish), grant.subscribe, grant.chat, grant.admin, at])


def read_change(value: Value) -> Change:
    """What `change` wrote; of sources only those that this version knows."""
    match json.loads(value):
        case [list() as publish, bool() as subscribe, bool() as chat, bool() as admin, int() | float() as at]:
            known = frozenset(source for source in SOURCES if source in publish)
            return Change(Grant(known, subscribe, chat, admin), at)
    raise ValueError("no permissions")


# ------------------------------------------------------------------------------------------------- the end of a room


def end(until: float) -> Value:
    """That a room was ended, which is remembered until then."""
    return str(int(until))


def read_end(value: Value) -> float:
    """What `end` wrote."""
    until = float(value)
    if not math.isfinite(until):
        raise ValueError("no time")
    return until


# --------------------------------------------------------------------------------------------------- all that is heard

READERS: Mapping[str, Callable[[Value], object]] = {
    "metadata": read_metadata,
    "removal": read_removal,
    "grant": read_change,
    "ended": read_end,
}


def check(settings: RoomSettings) -> None:
    """See that all values can be read. Raises Unreadable. What only a later version writes is let through."""
    for part in (settings.open, settings.lasting):
        for (kind, _), value in part.entries.values():
            reader = READERS.get(kind)
            try:
                if reader is not None:
                    reader(value)
            except (ValueError, RecursionError, ArithmeticError):
                raise Unreadable(f"no {kind}: {value[:100]!r}") from None
