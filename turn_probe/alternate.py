"""Where a server sends us on to, if anybody can be there (300, ALTERNATE-SERVER: RFC 8489 section 10)."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from . import turn, urls
from .exchange import Failed
from .report import Verdict
from .turn import Address
from .urls import Server

TRY_ALTERNATE = 300
MOST = 2  # one after the other


class SentOn(Exception):
    """Another server is to be asked instead."""

    def __init__(self, reply: turn.Reply) -> None:
        super().__init__(reply.phrase)
        self.reply = reply


class Way:
    """The server that is asked now, and where it leads; it does not go round in circles, nor on without end."""

    def __init__(self, server: Server, address: Address) -> None:
        self.server, self.address = server, address
        self._been_at = {address}

    def follow(self, reply: turn.Reply) -> None:
        """Go on as `reply` says: over the same transport; over TLS with a certificate for ALTERNATE-DOMAIN or, without
        one, for the name that was asked before. Raises Failed."""
        self.address = self._checked(reply.alternate)
        self._been_at.add(self.address)
        if reply.domain:
            try:
                self.server = replace(self.server, host=urls.parse(f"turns:{reply.domain}").host)
            except urls.UrlError:
                raise _astray("to a domain that is none") from None

    def _checked(self, alternate: Address | None) -> Address:
        if alternate is None:
            raise _astray("and does not say where")
        host = ipaddress.ip_address(alternate[0])
        if not alternate[1] or host.is_multicast or host.is_unspecified or host.is_reserved:
            raise _astray("to where nobody can be")
        if (":" in alternate[0]) is not (":" in self.address[0]):
            raise _astray(f"to an address of another family, {alternate[0]}")
        if alternate in self._been_at:
            raise _astray("round in circles")
        if len(self._been_at) > MOST:
            raise _astray("and on")
        return alternate


def _astray(whither: str) -> Failed:
    return Failed(Verdict.DOWN, f"it sends us on {whither} ({TRY_ALTERNATE})")
