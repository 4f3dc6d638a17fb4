"""Where a room is at home: the instance that media of everybody in it should meet at.

That is the instance that hosts the most of its people, else one that a rendezvous hash picks (Thaler, Ravishankar
1998): every instance that knows the same others picks the same, without asking anybody, and when an instance comes or
goes only the rooms that were its own move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from .model import NodeId, RoomName
from .wire import NodeRecord


def home(room: RoomName, me: NodeRecord, others: Iterable[NodeRecord], hosts: Mapping[NodeId, int]) -> NodeRecord:
    """The instance for `room`. `hosts` says how many of its people are where.

    Instances that are about to end, or that cannot say where clients reach them, are left out, unless none is left. A
    new room stays in the region that it is asked for in, if somebody takes it there. Of several at one address only
    the last one answers there: the others are what the store still knows of processes that are gone.
    """
    at = {one.url: one for one in sorted(others, key=lambda one: (one.started, one.node))} | {me.url: me}
    able = [one for one in at.values() if one.accepting and (one.url or one.node == me.node)]
    hosting = [one for one in able if hosts.get(one.node)]
    if hosting:
        return max(hosting, key=lambda one: (hosts[one.node], weight(room, one.node)))
    near = [one for one in able if one.region == me.region]
    return max(near or able or [me], key=lambda one: weight(room, one.node))


def weight(room: RoomName, node: NodeId) -> int:
    """How strongly a room is drawn to an instance."""
    digest = hashlib.blake2b(f"{room}\0{node}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
