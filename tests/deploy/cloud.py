"""A machine in a cloud: its own address is private, and by a 1:1 NAT the world reaches it at a public one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.network import Network

OWN, PUBLIC = "10.199.0.1", "203.0.113.7"
GATEWAY, ROUTER, SOMEBODY = "10.199.0.254", "203.0.113.1", "203.0.113.9"
# The gateway translates addresses and no ports. Its last rule is the hairpin: the machine may come to itself by its
# public address, which some gateways allow and some do not.
TRANSLATES = [
    f"-t nat -A PREROUTING -d {PUBLIC} -j DNAT --to-destination {OWN}",
    f"-t nat -A POSTROUTING -s {OWN} -o world -j SNAT --to-source {PUBLIC}",
]
HAIRPIN = f"-t nat -A POSTROUTING -s {OWN} -d {OWN} -j SNAT --to-source {PUBLIC}"
NO_HAIRPIN = "-A FORWARD -i inside -o inside -j DROP"


@dataclass(frozen=True)
class Cloud:
    """The machine, and somebody in the world who wants to reach it."""

    machine: Network
    world: Network


@contextmanager
def cloud(*, hairpin: bool = True) -> Iterator[Cloud]:
    """Three namespaces in a row, machine, gateway and world, gone with all their links at the end."""
    assert os.geteuid() == 0, "this needs root, for `ip netns` and iptables"
    machine, gateway, world = (f"auralink-{os.getpid()}-{part}" for part in ("machine", "gateway", "world"))
    made = []
    try:
        for name in (machine, gateway, world):
            _run(f"ip netns add {name}")
            made.append(name)
            _run(f"ip -n {name} link set lo up")
        _run(f"ip -n {machine} link add cable type veth peer name inside netns {gateway}")
        _run(f"ip -n {gateway} link add world type veth peer name cable netns {world}")
        for name, device, address in (
            (machine, "cable", OWN),
            (gateway, "inside", GATEWAY),
            (gateway, "world", ROUTER),
            (gateway, "world", PUBLIC),
            (world, "cable", SOMEBODY),
        ):
            _run(f"ip -n {name} address add {address}/24 dev {device}")
            _run(f"ip -n {name} link set {device} up")
        _run(f"ip -n {machine} route add default via {GATEWAY}")
        _run(f"ip netns exec {gateway} sysctl -qw net.ipv4.ip_forward=1")
        for rule in (*TRANSLATES, HAIRPIN if hairpin else NO_HAIRPIN):
            _run(f"ip netns exec {gateway} iptables {rule}")
        yield Cloud(Network(machine, OWN), Network(world, SOMEBODY))
    finally:
        for name in made:
            _run(f"ip netns delete {name}")


def run_in(network: Network, command: str) -> None:
    """Run a command line of a few words there, which has to succeed."""
    _run(" ".join(network.command(command)))


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.strip()}"
