"""Relays as people hear of them: which there are now, that there is none or one again, and credentials that last."""

from __future__ import annotations

from . import degradation
from . import messages as m
from .commands import CloseCode
from .conference import Conference, Refused
from .events import RelaysChanged
from .session import Session

# Seconds. A relay that is back is believed within half a minute, or later if it fell soon before
# (turn_probe/standing.py). That may be over at any moment, and asking costs little.
RETRY_AFTER = 10.0
SWEEP_EVERY = 1.0  # seconds at least between two looks at whose credentials are to be replaced
DEPENDENCY, MODE = "turn", "stun-only"
STUN_ONLY = (
    "Your call goes on. No relay works just now, so people whose network lets nothing through directly may be unable "
    "to connect until one does."
)
RELAYS_AGAIN = "A relay works again: people whose network needs one can connect."


def changed(conference: Conference, event: RelaysChanged) -> None:
    """Other servers are handed out from now on. Calls that run over a relay are not touched."""
    for session in conference.sessions.values():
        _tell(conference, session)
    if event.lacking:
        degradation.begin(conference, DEPENDENCY, MODE, event.lacking, conference.at.now, STUN_ONLY)
    else:
        degradation.over(conference, DEPENDENCY, RELAYS_AGAIN)


def sweep(conference: Conference) -> None:
    """Give new credentials to those whose own are half over: who changes networks late in a long call needs them."""
    now, lasts = conference.at.now, conference.rules.relay_credentials / 2
    if now < conference.next_credentials:
        return
    for session in conference.sessions.values():
        if now >= session.credentials_at + lasts:
            _tell(conference, session)
    oldest = min((one.credentials_at for one in conference.sessions.values() if one.socket is not None), default=now)
    conference.next_credentials = max(oldest + lasts, now + SWEEP_EVERY)


def _tell(conference: Conference, session: Session) -> None:
    if session.socket is not None:  # else it hears of them when it resumes
        conference.send(session, m.IceServers(ice_servers=servers_for(conference, session)))


def servers_for(conference: Conference, session: Session) -> list[m.IceServer]:
    """What a session is told of now."""
    session.credentials_at = conference.at.now
    return conference.ice_servers(session.id, conference.at.wall)


def check_relay(conference: Conference, who: str, *, field: str) -> None:
    """Refuse a client that takes no other way than a relay, if there is none for it. Raises Refused.

    `who` begins the sentence, and `field` is of the request.
    """
    servers = conference.ice_servers("", conference.at.wall)
    if any(url.startswith("turn") for server in servers for url in server.urls):
        return
    text = f"{who} by relay only, and this server has no relay that works just now."
    raise Refused("turn_unavailable", text, field=field, retry_after=RETRY_AFTER, close=CloseCode.TRY_LATER)
