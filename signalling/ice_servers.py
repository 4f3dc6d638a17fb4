"""Which STUN and TURN servers a client is told of: those that work, the quickest first, with credentials for today."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from turn_probe.credentials import Account
from turn_probe.fleet import Offer, Offered
from turn_probe.urls import parse

from . import messages as m


class IceServerList:
    """The configured servers, until `take` says what was measured.

    Of several accounts the first is handed out a login of, except for servers that take another one.
    """

    def __init__(
        self,
        stun: Sequence[str] = (),
        turn: Sequence[str] = (),
        accounts: Sequence[Account] = (),
        lifetime: float = 6 * 3600.0,
    ) -> None:
        """`lifetime` is in seconds: for so long TURN credentials are valid. Raises UrlError."""
        self._accounts = accounts
        self._lifetime = lifetime
        turn = turn if accounts else ()
        self._offered = Offered(
            turn=tuple(Offer(parse(url)) for url in turn), stun=tuple(Offer(parse(url)) for url in stun)
        )

    def take(self, offered: Offered) -> None:
        """Hand these out from now on."""
        self._offered = offered

    def for_participant(self, participant: str, wall: float) -> list[m.IceServer]:
        """The entries for RTCConfiguration.iceServers, with credentials made at `wall` (seconds since 1970)."""
        offered = self._offered
        servers = [m.IceServer(urls=[offer.server.url for offer in offered.stun])] if offered.stun else []
        for number, offers in groupby(offered.turn, key=lambda offer: offer.login):
            login = self._accounts[number].login(participant, wall, self._lifetime)
            urls = [offer.server.url for offer in offers]
            servers.append(m.IceServer(urls=urls, username=login.username, credential=login.password))
        return servers
