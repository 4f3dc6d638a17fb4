"""What sharing tells the control plane: others came and went, settings were heard, a mode or a circuit changed."""

from __future__ import annotations

from dataclasses import dataclass

from .guard import Transition
from .model import NodeId, RoomName
from .modes import ModeChange
from .settings import RoomSettings


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Others came, went or changed in a room: look at `View.elsewhere`."""

    room: RoomName


@dataclass(frozen=True, slots=True)
class SettingsHeard:
    """Another instance says what holds in a room; merge it.

    `late`: it may have held before the first of ours came in. Else all that did is heard, and this is newer.
    """

    room: RoomName
    settings: RoomSettings
    late: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """Another instance said something that is no state."""

    room: RoomName
    payload: str


@dataclass(frozen=True, slots=True)
class NodesChanged:
    """Other instances came, went, or say something else of themselves."""


@dataclass(frozen=True, slots=True)
class ModeMoved:
    """The mode changed; `rooms` are those in which something may have happened that nobody was told of."""

    change: ModeChange
    rooms: tuple[RoomName, ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitMoved:
    """The circuit to the store changed."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Renamed:
    """Another process holds our id, so this instance goes on under a new one."""

    before: NodeId
    after: NodeId


@dataclass(frozen=True, slots=True)
class JunkFound:
    """Things in the store were ignored that no instance can have written, `count` since this was last told; `why` is
    about the last one, and quotes nothing of it."""

    why: str
    count: int


News = RoomChanged | SettingsHeard | Heard | NodesChanged | ModeMoved | CircuitMoved | Renamed | JunkFound


class NewsList:
    """News that nobody has taken yet, oldest first."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def tell(self, news: News) -> None:
        """This happened."""
        self._news.append(news)

    def room_changed(self, room: RoomName) -> None:
        """Others came, went or changed in a room. Many changes in a row are one reason to look at it."""
        if RoomChanged(room) not in self._news[-2:]:  # whoever hears it looks at all that is known
            self._news.append(RoomChanged(room))

    def take(self) -> list[News]:
        """All of it; it is gone from here."""
        news, self._news = self._news, []
        return news
