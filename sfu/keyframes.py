"""Keyframe requests of many receivers, merged into few to the source."""

from __future__ import annotations

# A shorter interval lets a newcomer see a picture sooner when somebody else has just asked; a longer one spares the
# source: at one keyframe per interval a camera may need twice its bitrate.
MIN_INTERVAL = 0.5
# When no keyframe has come, the request or the frame was lost: ask again.
RETRY_INTERVAL = 1.0


class KeyframeRequests:
    """One per video track. Times are in seconds."""

    def __init__(self) -> None:
        self._wanted = False
        self._answered = True  # no request is on its way
        self._sent_at = float("-inf")

    def want(self, now: float) -> bool:
        """Somebody needs a keyframe. True: ask the source now. False: `due` will say when."""
        self._wanted = True
        return self._ask(now, MIN_INTERVAL)

    def due(self, now: float) -> bool:
        """Whether to ask the source now, because a keyframe is wanted and the last request is long enough ago."""
        return self._wanted and self._ask(now, MIN_INTERVAL if self._answered else RETRY_INTERVAL)

    def was_lost(self) -> None:
        """The last request did not reach the source: the next one need not keep its distance."""
        self._sent_at = float("-inf")

    def arrived(self) -> None:
        """A keyframe begins; everybody's wish is fulfilled."""
        self._wanted = False
        self._answered = True

    def _ask(self, now: float, interval: float) -> bool:
        if now - self._sent_at < interval:
            return False
        self._sent_at = now
        self._answered = False
        return True
