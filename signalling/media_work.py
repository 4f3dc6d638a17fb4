"""Carries out media commands: those of one peer in their order, those of different peers side by side."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from sfu.media_plane import MediaError, MediaPlane, PeerId

from .commands import AnswerOffer, ClosePeer, MediaCommand, OpenPeer, SetMuted, Subscribe, Unsubscribe
from .events import OfferAnswered, OfferRefused

log = logging.getLogger(__name__)

VERB_TIMEOUT = 10.0  # seconds a verb may take before its peer goes on without it


class MediaWork:
    """One queue and, while there is work in it, one task per peer."""

    def __init__(
        self,
        media: MediaPlane,
        tasks: asyncio.TaskGroup,
        report: Callable[[OfferAnswered | OfferRefused], None],
        failed: Callable[[str], None],
    ) -> None:
        self._media = media
        self._tasks = tasks
        self._report = report
        self._failed = failed  # told the code of each failure
        self._queues: dict[PeerId, deque[MediaCommand]] = {}

    def do(self, command: MediaCommand) -> None:
        """Queue a command behind those of the same peer."""
        queue = self._queues.get(command.peer)
        if queue is None:
            queue = self._queues[command.peer] = deque()
            self._tasks.create_task(self._work(command.peer, queue), name=f"media-{command.peer}")
        last = queue[-1] if queue else None
        if isinstance(command, Subscribe) and isinstance(last, Subscribe):
            queue[-1] = Subscribe(command.peer, last.tracks + command.tracks)  # a busy room costs a slow peer one verb
        else:
            queue.append(command)

    async def _work(self, peer: PeerId, queue: deque[MediaCommand]) -> None:
        while queue:
            await self._try(queue.popleft())
        del self._queues[peer]  # nothing awaited since the queue was seen empty

    async def _try(self, command: MediaCommand) -> None:
        try:
            async with asyncio.timeout(VERB_TIMEOUT):
                await self._run(command)
            return
        except MediaError as error:
            code, text = error.code, str(error)
        except TimeoutError:
            code, text = "media_timeout", "The media plane did not answer in time."
        except Exception:
            log.exception("A media command failed: %s of %s", type(command).__name__, command.peer)
            code, text = "internal_error", "Something went wrong on the server."
        self._failed(code)
        if isinstance(command, AnswerOffer):
            self._report(OfferRefused(command.peer, code, text))

    async def _run(self, command: MediaCommand) -> None:
        media = self._media
        match command:
            case OpenPeer(peer, room):
                await media.open_peer(peer, room)
            case ClosePeer(peer):
                await media.close_peer(peer)
            case AnswerOffer(peer, sdp, tracks):
                self._report(OfferAnswered(peer, await media.answer(peer, sdp, tracks)))
            case Subscribe(peer, wanted):
                await media.subscribe(peer, wanted)
            case Unsubscribe(peer, unwanted):
                await media.unsubscribe(peer, unwanted)
            case SetMuted(_, track, muted):
                await media.set_muted(track, muted)
