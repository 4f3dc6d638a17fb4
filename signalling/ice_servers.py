"""Which STUN and TURN servers a client is told of. They are handed out as configured: nothing measures them yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turn_probe import credentials

from . import messages as m


@dataclass(frozen=True, slots=True)
class IceServerList:
    """The configured servers. Of several secrets the first is the newest: it signs what is handed out."""

    stun: Sequence[str] = ()
    turn: Sequence[str] = ()
    turn_secrets: Sequence[str] = ()
    lifetime: float = 6 * 3600.0  # seconds for which TURN credentials are valid

    def for_participant(self, participant: str, wall: float) -> list[m.IceServer]:
        """The entries for RTCConfiguration.iceServers, with credentials made at `wall` (seconds since 1970)."""
        servers = [m.IceServer(urls=list(self.stun))] if self.stun else []
        if self.turn and self.turn_secrets:
            login = credentials.issue(self.turn_secrets[0], participant, wall, self.lifetime)
            servers.append(m.IceServer(urls=list(self.turn), username=login.username, credential=login.password))
        return servers
