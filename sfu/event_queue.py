"""The events that wait for the control plane: of each kind and subject only the newest, so that they are bounded."""

from __future__ import annotations

from collections.abc import Callable

from .media_plane import MediaEvent, PeerId, PeerStateChanged, SpeakersChanged, TrackUnreceivable

_Key = tuple[type[MediaEvent], str, str]


class EventQueue:
    """First in, first out; an event replaces, and goes behind, a waiting one that it makes obsolete.

    Every event tells a whole state, so that who missed the one before has missed nothing. What may wait is bounded by
    the peers, rooms and subscriptions there are, however slowly it is read. `arrived` is called after each `put`.
    """

    def __init__(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived
        self._waiting: dict[_Key, MediaEvent] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: MediaEvent) -> None:
        """Add an event, unless the queue is closed."""
        if self._closed:
            return
        key = _key(event)
        self._waiting.pop(key, None)
        self._waiting[key] = event
        self._arrived()

    def close(self) -> None:
        """Let no more events in; those that wait may still be taken."""
        self._closed = True

    def forget_states(self, peer: PeerId) -> None:
        """What was said of a peer's connection does not matter any more: it is to have another one."""
        about = [
            key for key, event in self._waiting.items() if isinstance(event, PeerStateChanged) and event.peer == peer
        ]
        for key in about:
            del self._waiting[key]

    def take(self) -> MediaEvent | None:
        """The oldest event, None if there is none."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))


def _key(event: MediaEvent) -> _Key:
    match event:
        case SpeakersChanged():
            return type(event), event.room, ""
        case TrackUnreceivable():
            return type(event), event.peer, event.track
        case PeerStateChanged():  # nobody should miss that it was connected once
            return type(event), event.peer, event.state
        case _:
            return type(event), event.peer, ""
