"""What the requests of the store are in Redis: keys, commands, and how answers are read.

    auralink:nodes                 hash: instance -> its lease and record
    auralink:{room}:nodes          hash: instance -> version and times of its slice of the room
    auralink:{room}:node:<node>    hash: that slice
    auralink:inbox:{node}          stream: notes for an instance

The braces are a hash tag: all keys of one room, and so all that one script touches, lie in one slot of a Redis Cluster.
Names are percent-encoded, since a brace in a room's name would move the tag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

from . import wire
from .model import NodeId, RoomName
from .slices import Fields, Version
from .store import Announce, Announced, Fetched, FetchSlices, Listed, Post, WriteSlice, Written

Command = tuple[str | int, ...]

EPOCH, SEQ = "_epoch", "_seq"  # fields of a stored slice beside its own
NOTE = "note"  # the field of an entry in an inbox
MOST_AT_ONCE = 1000  # notes that are read from an inbox in one go
MOST_NODES = 1000  # instances; that many tell each other too much long before


# ------------------------------------------------------------------------------------------------------------- keys


def escape(name: str) -> str:
    """Any name, even an empty one, as text without braces, spaces and what is not ASCII."""
    return quote(name, safe="", errors="surrogatepass") or "%"


def unescape(text: str) -> str:
    """The name that was escaped."""
    return "" if text == "%" else unquote(text, errors="surrogatepass")


NODES = "auralink:nodes"


def index_key(room: RoomName) -> str:
    """Where the slices of a room are listed."""
    return f"auralink:{{{escape(room)}}}:nodes"


def slice_key(room: RoomName, node: NodeId) -> str:
    """Where the slice of an instance is."""
    return f"auralink:{{{escape(room)}}}:node:{escape(node)}"


def inbox_key(node: NodeId) -> str:
    """Where the notes for an instance are."""
    return f"auralink:inbox:{{{escape(node)}}}"


# --------------------------------------------------------------------------------------------------------- requests


def announce(request: Announce) -> tuple[list[str], list[str | int]]:
    """Keys and arguments of announce.lua."""
    record = request.record
    return [NODES], [
        escape(record.node),
        escape(record.nonce),
        wire.dump_record(record),
        _milliseconds(request.lease),
        int(request.leaving),
    ]


def write_slice(request: WriteSlice) -> tuple[list[str], list[str | int]]:
    """Keys and arguments of write_slice.lua."""
    sets: list[str | int] = []
    drops: list[str | int] = []
    for name, text in request.changes.items():
        if text is None:
            drops.append(name)
        else:
            sets += name, text
    base: tuple[str | int, str | int] = ("", "") if request.base is None else request.base
    arguments = [
        escape(request.node),
        *request.version,
        *base,
        _milliseconds(request.life),
        len(sets) // 2,
        *sets,
        *drops,
    ]
    return [index_key(request.room), slice_key(request.room, request.node)], arguments


def fetch_slices(request: FetchSlices) -> list[Command]:
    """The commands that read slices, each of which is whole in itself."""
    return [("HGETALL", slice_key(request.room, node)) for node in request.nodes]


def post(request: Post) -> list[Command]:
    """The commands that put notes into inboxes, in order. An inbox may keep a few more than `most`."""
    keys = {node: inbox_key(node) for node, _ in request.notes}
    adds: list[Command] = [
        ("XADD", keys[node], "MAXLEN", "~", request.most, "*", NOTE, text) for node, text in request.notes
    ]
    return [*adds, *(("PEXPIRE", key, _milliseconds(request.life)) for key in keys.values())]


def read_inbox(node: NodeId, block: float) -> Command:
    """The command that waits for notes, at most `block` seconds."""
    wait: Command = ("BLOCK", _milliseconds(block)) if block > 0 else ()  # BLOCK 0 would be for ever
    return ("XREAD", "COUNT", MOST_AT_ONCE, *wait, "STREAMS", inbox_key(node), "0")


def drop_inbox(node: NodeId) -> Command:
    """The command that removes whatever is where an inbox should be."""
    return ("DEL", inbox_key(node))


def drop_notes(node: NodeId, ids: Sequence[str]) -> Command:
    """The command that removes notes which were read."""
    return ("XDEL", inbox_key(node), *ids)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


# ---------------------------------------------------------------------------------------------------------- answers


def announced(answer: list[Any]) -> Announced:
    """What announce.lua returned; a record that cannot be read, as of a later version, hides none of the others."""
    fenced, known, *texts = answer
    records, junk = [], []
    for text in texts:
        try:
            records.append(wire.parse_record(text))
        except wire.WireError as error:
            junk.append(f"an announcement: {error}")
    if len(records) > MOST_NODES:
        junk.append(f"{len(records)} announcements are more than there can be instances")
    return Announced(bool(known), tuple(records[:MOST_NODES]), fenced=bool(fenced), junk=tuple(junk))


def written(answer: list[Any]) -> Written:
    """What write_slice.lua returned."""
    status, *listed = answer
    found = {}
    for node, epoch, seq, age in zip(*[iter(listed)] * 4, strict=True):
        with suppress(UnicodeError):  # none of us has such a name
            found[NodeId(unescape(node))] = Listed(Version(int(epoch), int(seq)), max(0, age) / 1000)
    return Written(status, found)


def fetched(request: FetchSlices, answers: list[Any]) -> Fetched:
    """What the commands of `fetch_slices` returned; what is no slice hides none of the others."""
    slices: dict[NodeId, tuple[Version, Fields]] = {}
    junk = []
    for node, answer in zip(request.nodes, answers, strict=True):
        if not isinstance(answer, Mapping):
            junk.append("a slice: it is no hash")
            continue
        fields = dict(answer)
        epoch, seq = fields.pop(EPOCH, ""), fields.pop(SEQ, "")
        if _is_number(epoch) and _is_number(seq):
            slices[node] = Version(int(epoch), int(seq)), fields
        elif answer:
            junk.append("a slice: its version is none")
    return Fetched(slices, tuple(junk))


def _is_number(text: str) -> bool:
    """The same as is_number in write_slice.lua."""
    return len(text) <= 16 and text.isascii() and text.isdigit()


def notes(answer: list[Any] | None) -> tuple[list[str], list[str]]:
    """What `read_inbox` returned: the ids of the entries, and the notes in them."""
    entries = [entry for _, found in answer or () for entry in found]
    return [id for id, _ in entries], [fields[NOTE] for _, fields in entries if NOTE in fields]
