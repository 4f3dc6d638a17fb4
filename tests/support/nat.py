"""People at home: network namespaces behind a NAT or a firewall of their own, on the way to a server's namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from .network import Network

_numbers = count(1)

# One port for each peer: what a STUN server sees is of no use to anybody else (RFC 4787: address and port-dependent
# mapping), and nobody gets in who was not written to.
SYMMETRIC = [
    "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE --random-fully",
    "iptables -P FORWARD DROP",
    "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
]


@dataclass(frozen=True)
class Home(Network):
    """Where somebody is, behind the namespace `router`, whose firewall may change while they are there."""

    router: str = ""

    def opens(self, *ports: int) -> None:
        """From now on TCP to these ports is let out as well; nobody at home notices until they try again."""
        for rule in only_tcp_to(*ports):
            _run(f"ip netns exec {self.router} {rule}")


@contextmanager
def behind_nat(server: Network, rules: Sequence[str] = ("iptables -A FORWARD -i lan -j ACCEPT",)) -> Iterator[Home]:
    """A namespace whose only way to `server` is a symmetric NAT; `rules` say what it lets out, in its own namespace."""
    assert server.namespace, "this needs root, for `ip netns` and iptables"
    number = next(_numbers)
    assert number < 250, "each home has a network of its own"
    router, home = (f"auralink-{os.getpid()}-{kind}{number}" for kind in ("nat", "home"))
    wide, local = f"10.198.{number}", f"192.168.{number}"
    try:
        for name in (router, home):
            _run(f"ip netns add {name}")
            # An IPv6 address that appears a second later is a change of network to Chromium, which then drops requests.
            _run(
                f"ip netns exec {name} sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"
            )
            _run(f"ip -n {name} link set lo up")
        _cable(server.namespace, f"home{number}", f"{wide}.1", router, "wan", f"{wide}.2")
        _cable(router, "lan", f"{local}.1", home, "cable", f"{local}.2")
        _run(f"ip -n {router} route add default via {wide}.1")
        _run(f"ip -n {home} route add default via {local}.1")
        for rule in ("sysctl -qw net.ipv4.ip_forward=1", *SYMMETRIC, *rules):
            _run(f"ip netns exec {router} {rule}")
        yield Home(home, f"{local}.2", router)
    finally:
        for name in (home, router):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def only_tcp_to(*ports: int) -> list[str]:
    """The rules of a network that lets nothing out but TCP to these ports: no UDP at all."""
    allowed = ",".join(str(port) for port in ports)
    return [f"iptables -A FORWARD -i lan -p tcp -m multiport --dports {allowed} -j ACCEPT"]


def any_tcp() -> list[str]:
    """The rules of a network that lets out TCP to wherever one likes, and no UDP."""
    return ["iptables -A FORWARD -i lan -p tcp -j ACCEPT"]


def _cable(one: str, end: str, address: str, other: str, other_end: str, other_address: str) -> None:
    _run(f"ip -n {one} link add {end} type veth peer name {other_end} netns {other}")
    for namespace, device, own in ((one, end, address), (other, other_end, other_address)):
        _run(f"ip -n {namespace} address add {own}/24 dev {device}")
        _run(f"ip -n {namespace} link set {device} up")


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.strip()}"
