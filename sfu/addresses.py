"""The addresses at which this machine can be reached for media."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

import ifaddr


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An address to bind, and the one to announce for it (1:1 NAT, containers); None: announce the bound one."""

    host: str
    public_host: str | None = None
    public_port: int | None = None

    def announced_as(self, host: str, public: str) -> LocalAddress:
        """The same, but announced as `public` if it is the address `host`."""
        return replace(self, public_host=public) if self.host == host else self

    def is_loopback(self) -> bool:
        """Whether it serves this machine only."""
        return ipaddress.ip_address(self.host).is_loopback


def local_addresses(*, loopback: bool) -> list[LocalAddress]:
    """All addresses of this machine that media can use: none that is link-local, and loopback only if asked for."""
    texts = [
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]  # IPv6 comes with flow and scope
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    return [LocalAddress(text) for text in texts if _usable(ipaddress.ip_address(text), loopback)]


def _usable(address: ipaddress.IPv4Address | ipaddress.IPv6Address, loopback: bool) -> bool:
    if address.is_loopback:
        return loopback
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)
