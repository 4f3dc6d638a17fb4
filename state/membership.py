"""Which instances live, by their leases, and how long one may be missing before it is gone.

Nobody is gone because the store cannot be asked: while it is away, all are kept as they were last seen. And when it
comes back, or comes back empty, those who have not announced themselves again yet get longer than those whose lease
ran out before our eyes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .model import NodeId
from .wire import NodeRecord

PATIENCE = 2.0  # seconds that somebody whose lease ran out stays: as long as a flushed store takes to be filled again
UNANNOUNCED = 5.0  # seconds that somebody stays of whom a slice was read, and no announcement
ANNOUNCED_BY = 1.5  # seconds after the store's return: three announcements of everybody who lives
ALL_BACK = 3.0  # seconds after the store's return in which others are expected to be missing


@dataclass(slots=True)
class Membership:
    """The other instances. `patience_after_return` in seconds; times are seconds on a monotonic clock."""

    me: NodeId
    patience_after_return: float
    nodes: dict[NodeId, NodeRecord] = field(default_factory=dict)  # as last seen, those that are missing too
    missing: dict[NodeId, float] = field(default_factory=dict)  # when they will be gone
    late: set[NodeId] = field(default_factory=set)  # missing, though there was time to announce oneself
    replaced: set[NodeId] = field(default_factory=set)  # behind these ids there is another process now
    _returned: float = float("-inf")

    def returned(self, now: float) -> None:
        """The store is back, perhaps without the leases it had."""
        self._returned = now
        self.missing = dict.fromkeys(self.missing, now + self.patience_after_return)

    def announced(self, live: Iterable[NodeRecord], now: float) -> bool:
        """The store told who holds a lease; returns whether that changed who is known."""
        fresh = {record.node: record for record in live if record.node != self.me}
        self.replaced |= {node for node, record in fresh.items() if self._is_another(record)}
        changed = any(self.nodes.get(node) != record for node, record in fresh.items())
        self.nodes.update(fresh)
        patience = self._patience(now, PATIENCE)
        absent = [node for node in self.nodes if node not in fresh]
        changed = changed or set(absent) != set(self.missing)
        self.missing = {node: self.missing.get(node, now + patience) for node in absent}
        self.late = set(absent) if now - self._returned >= ANNOUNCED_BY else self.late & set(absent)
        return changed

    def heard_of(self, node: NodeId, now: float) -> None:
        """A slice of this instance was read. If nobody announced it, it must do so soon, or it is gone."""
        if node not in self.nodes:
            self.nodes[node] = NodeRecord(node=node, nonce="", accepting=False)
            # Most often its announcement is a moment away; else this may be a write that landed after its writer's end.
            self.missing[node] = now + self._patience(now, UNANNOUNCED)

    def gone(self, now: float) -> list[NodeId]:
        """Those who have been missing for too long; they are forgotten with this."""
        over = [node for node, at in self.missing.items() if at <= now]
        for node in over:
            del self.missing[node]
            del self.nodes[node]
            self.late.discard(node)
        return over

    def is_live(self, node: NodeId) -> bool:
        """Whether somebody held a lease when the store was last asked."""
        return node in self.nodes and node not in self.missing

    def keeps_up(self, node: NodeId) -> bool:
        """Whether it shares what it has, as far as we know: it lives, and the store is not away for it."""
        record = self.nodes.get(node)
        return record is not None and record.shares and node not in self.missing

    def is_heard(self, node: NodeId) -> bool:
        """Whether people may be shown what it says as true: it shares, and is not late. While a store that forgot
        everything is filled again, nobody is: else all would be in doubt for a moment, and the next moment no more."""
        record = self.nodes.get(node)
        return record is not None and record.shares and node not in self.late

    def _patience(self, now: float, usual: float) -> float:
        return self.patience_after_return if now - self._returned < ALL_BACK else usual

    def _is_another(self, record: NodeRecord) -> bool:
        known = self.nodes.get(record.node)
        return known is not None and known.nonce not in ("", record.nonce)

    def __contains__(self, node: NodeId) -> bool:
        return node in self.nodes
