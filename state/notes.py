"""Notes to other instances that wait to be posted, and which of theirs were heard already."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from . import wire
from .model import NodeId
from .wire import Note, Said


class Notes:
    """At most `most` notes wait, and so many ids are remembered. What is lost shows in `lost`.

    A lost note about a slice is made good when the slice is renewed; one that is no state is lost.
    """

    def __init__(self, most: int) -> None:
        self.lost = 0
        self._most = most
        self._waiting: deque[tuple[NodeId, str]] = deque()
        self._heard: OrderedDict[str, None] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, nodes: Iterable[NodeId], note: Note) -> None:
        """Have some instances told."""
        text = wire.dump_note(note)
        for node in nodes:
            if len(self._waiting) < self._most:
                self._waiting.append((node, text))
            else:
                self.lost += 1

    def take(self, most: int) -> tuple[tuple[NodeId, str], ...]:
        """The oldest that wait; they are gone from here."""
        return tuple(self._waiting.popleft() for _ in range(min(most, len(self._waiting))))

    def is_first(self, said: Said) -> bool:
        """Whether this was not heard before: an inbox may deliver twice."""
        if said.id in self._heard:
            return False
        self._heard[said.id] = None
        if len(self._heard) > self._most:
            self._heard.popitem(last=False)
        return True
