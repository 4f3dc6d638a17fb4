"""The cluster as the control plane sees it: who else is in a room, where it is at home, and what can be said there.

An instance that shares with nobody has the same cluster, with nobody else in it. Everything here is answered from
memory; nothing waits.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from state.guard import Guard
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.settings import FLAGS, RoomSettings
from state.sharing import Sharing
from state.view import Remote
from state.wire import NodeRecord

from .origins import page_origin

ALONE = "here"  # who writes settings on an instance that shares with nobody
Topic = Literal["chat", "ask"]
Now = float


@dataclass(frozen=True, slots=True)
class Cluster:
    """The other instances; `sharing` is None if there are none by choice."""

    sharing: Sharing | None = None

    # ------------------------------------------------------------------------------------------------- questions

    @property
    def node(self) -> str:
        """The id of this instance."""
        return ALONE if self.sharing is None else self.sharing.record.node

    @property
    def writer(self) -> str:
        """How this instance signs what it writes."""
        return ALONE if self.sharing is None else self.sharing.writer

    @property
    def circuits(self) -> dict[str, Guard]:
        """The circuits to what is shared, by dependency."""
        return {} if self.sharing is None else {self.sharing.guard.dependency: self.sharing.guard}

    def elsewhere(self, room: RoomName) -> list[Remote]:
        """The participants of a room who are at other instances, as last heard."""
        return [] if self.sharing is None else list(self.sharing.view.elsewhere(room))

    def find(self, room: RoomName, participant: ParticipantId) -> Remote | None:
        """A participant who is at another instance."""
        return next((one for one in self.elsewhere(room) if one.participant.id == participant), None)

    def by_identity(self, room: RoomName, identity: Identity) -> Remote | None:
        """The newest session that somebody has at another instance."""
        sessions = (one for one in self.elsewhere(room) if one.participant.identity == identity)
        return max(sessions, key=lambda one: one.participant.recency, default=None)

    def is_inside(self, room: RoomName, identity: Identity, flags: Collection[str]) -> bool:
        """Whether an identity is in a room elsewhere, and not only because it came in where nobody knew these flags.

        An instance with nobody in a room knows nothing of its lock. It hears of that at once when somebody comes, and
        sends out whom it would not have let in; until it says that it has heard, it is no witness. One that cannot be
        heard is: who was there when we last heard of it, was in.
        """
        one = self.by_identity(room, identity)
        if self.sharing is None or one is None:
            return False
        return one.unknown or self.sharing.view.has_flags(room, one.node, flags)

    def flags(self, room: RoomName) -> frozenset[str]:
        """What is said elsewhere to keep people out of a room, as far as we hear of it."""
        if self.sharing is None:
            return frozenset()
        return frozenset(name for settings in self.sharing.view.settings(room) for name in FLAGS if settings.flag(name))

    def clock(self, room: RoomName) -> int:
        """The largest logical time at which somebody joined a room elsewhere."""
        return max((one.participant.joined for one in self.elsewhere(room)), default=0)

    def home(self, room: RoomName) -> str | None:
        """The URL of the instance at which a room is at home; None if that is this one."""
        home = self._home(room)
        return None if home is None else home.url or None

    def meeting_place(self, room: RoomName) -> str | None:
        """Likewise, if those who are here may be asked to go there now.

        Only if either instance hears the others again: at one that has yet to recover, people who were told that all
        is well again here would hear that anew.
        """
        home = self._home(room) if self.is_connected() else None
        return None if home is None or not home.clustered else home.url or None

    def is_connected(self) -> bool:
        """Whether what the others say arrives just now."""
        return self.sharing is not None and self.sharing.view.is_connected()

    def origins(self) -> Iterator[str]:
        """The origins of pages that other instances serve."""
        records = () if self.sharing is None else self.sharing.members.nodes.values()
        return (origin for record in records if (origin := page_origin(record.url)))

    def _home(self, room: RoomName) -> NodeRecord | None:
        """Another instance at which a room is at home."""
        if self.sharing is None:
            return None
        home = self.sharing.view.home(room, self.sharing.record)
        return None if home.node == self.sharing.record.node else home

    # ------------------------------------------------------------------------------------------------- what is told

    def try_now(self, now: Now) -> None:
        """Look at once whether the others can be heard."""
        if self.sharing is not None:
            self.sharing.try_now(now)

    def watch(self, room: RoomName, until: Now, now: Now) -> None:
        """Learn where a room is in use though nobody is in it here: without that, `home` knows nothing of others."""
        if self.sharing is not None:
            self.sharing.watch(room, until, now)

    def say(self, room: RoomName, topic: Topic, text: str, by: str = "", to: NodeId | None = None) -> bool:
        """Tell the other instances with a room something, or one of them; False if nobody is told. It may be lost."""
        return self.sharing is not None and self.sharing.say(room, json.dumps([topic, by, text]), to)

    def share(
        self,
        members: Mapping[RoomName, Mapping[ParticipantId, Participant | None]],
        settings: Mapping[RoomName, RoomSettings],
        now: Now,
        **sizes: int,
    ) -> None:
        """What changed here."""
        if self.sharing is None:
            return
        for room, changed in members.items():
            self.sharing.change(room, changed, now)
        for room, holds in settings.items():
            self.sharing.set_settings(room, holds, now)
        self.sharing.set_record(now, **sizes)


def parse(payload: str) -> tuple[str, str, str] | None:
    """What another instance said: topic, by whom, and the text; None if it cannot be read."""
    try:
        found: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and len(found) == 3 and all(isinstance(part, str) for part in found):
        return found[0], found[1], found[2]
    return None
