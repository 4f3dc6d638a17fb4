"""Relays as people hear of them: which there are now, that there is none, and that there is one again."""

from __future__ import annotations

from collections.abc import Iterable

from . import degradation
from . import messages as m
from .commands import CloseCode
from .conference import Conference, Refused
from .events import RelaysChanged

RETRY_AFTER = 10.0  # seconds; soon enough for who waits, and not so soon that all of them come at once
DEPENDENCY, MODE = "turn", "stun-only"
STUN_ONLY = (
    "Your call goes on. No relay works just now, so people whose network lets nothing through directly may be unable "
    "to connect until one does."
)
RELAYS_AGAIN = "A relay works again: people whose network needs one can connect."


def changed(conference: Conference, event: RelaysChanged) -> None:
    """Other servers are handed out from now on. Calls that run over a relay are not touched."""
    for session in conference.sessions.values():
        if session.socket is not None:
            servers = conference.ice_servers(session.id, conference.at.wall)
            conference.send(session, m.IceServers(ice_servers=servers))
    if event.lacking:
        degradation.begin(conference, DEPENDENCY, MODE, event.lacking, conference.at.now, STUN_ONLY)
    else:
        degradation.over(conference, DEPENDENCY, RELAYS_AGAIN)


def check_relay(servers: Iterable[m.IceServer]) -> None:
    """Refuse a client that takes no other way than a relay, if there is none for it. Raises Refused."""
    if any(url.startswith("turn") for server in servers for url in server.urls):
        return
    text = "You connect by relay only, and this server has no relay that works just now."
    raise Refused("turn_unavailable", text, field="relay_only", retry_after=RETRY_AFTER, close=CloseCode.TRY_LATER)


RETRY_AFTER = 10.0  # seconds; within about so long a relay that is back is believed
