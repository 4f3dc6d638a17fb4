"""Where a real part runs: on this machine's own network, or in a network namespace made for one test.

Firefox sends no ICE check to a loopback address. A namespace with loopback and one veth address makes every machine
look the same to it, whatever network that machine has, while `http://localhost` stays a secure context.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Thread

CLONE_NEWNET = 0x40000000
_numbers = count(1)


@dataclass(frozen=True)
class Network:
    """A place to run programs in. `namespace` is a name known to `ip netns`, or None for this machine's network."""

    namespace: str | None = None
    address: str = "127.0.0.1"

    def command(self, *arguments: str) -> list[str]:
        """`arguments`, made to run in this network."""
        return ["ip", "netns", "exec", self.namespace, *arguments] if self.namespace else [*arguments]

    async def connect(self, host: str, port: int) -> socket.socket:
        """A TCP connection made inside this network; the socket stays usable from everywhere. Raises OSError."""
        return await asyncio.to_thread(self.connect_now, host, port)

    def connect_now(self, host: str, port: int) -> socket.socket:
        """What `connect` does, blocking for at most five seconds."""
        return self._inside(lambda: socket.create_connection((host, port), timeout=5))

    async def open_connection(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """What asyncio.open_connection does, inside this network. Raises OSError."""
        if self.namespace is None:
            return await asyncio.open_connection(host, port)
        connected = await self.connect(host, port)
        connected.setblocking(False)
        return await asyncio.open_connection(sock=connected)

    def datagram_socket(self) -> socket.socket:
        """An unbound UDP socket of this network, usable from everywhere. Raises OSError."""
        return self._inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))

    def stream_socket(self) -> socket.socket:
        """An unbound TCP socket of this network, usable from everywhere. Raises OSError."""
        return self._inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))

    def _inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        if self.namespace is None:
            return make()
        result: list[socket.socket | OSError] = []

        def work() -> None:
            try:
                _enter(f"/run/netns/{self.namespace}")
                result.append(make())
            except OSError as error:
                result.append(error)

        # Entering a namespace changes a thread for good, so a thread of its own does it.
        thread = Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]


def _enter(namespace: str) -> None:
    """Move this thread into a namespace, for good. Raises OSError."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    finally:
        os.close(descriptor)


HOST = Network()


@contextmanager
def private_network(address: str = "10.199.0.1") -> Iterator[Network]:
    """A network namespace with loopback and one address that is not loopback, gone with all its links at the end.

    Without root there is no namespace; this machine's network serves then, if it has an address of its own.
    """
    if os.geteuid() != 0:
        own = own_address()
        assert own, "this test needs root (for `ip netns`), or a machine with an address that is not loopback"
        yield Network(None, own)
        return
    name = f"auralink-{os.getpid()}-{next(_numbers)}"
    _ip("netns", "add", name)
    try:
        for arguments in (
            "link set lo up",
            "link add media type veth peer name other",
            f"address add {address}/24 dev media",
            "link set media up",
            "link set other up",
            "route add default dev media",
        ):
            _ip("-n", name, *arguments.split())
        yield Network(name, address)
    finally:
        _ip("netns", "delete", name)


@contextmanager
def neighbour(server: Network, there: str = "10.198.0.1", here: str = "10.198.0.2") -> Iterator[Network]:
    """A second namespace, at address `here`, joined by a cable to the namespace `server`, which is `there` on it."""
    assert server.namespace, "only a namespace can have a neighbour"
    name = f"{server.namespace}-{next(_numbers)}"
    _ip("netns", "add", name)
    try:
        _ip("-n", server.namespace, *f"link add cable type veth peer name cable netns {name}".split())
        for namespace, address in ((server.namespace, there), (name, here)):
            for arguments in ("link set lo up", "link set cable up", f"address add {address}/24 dev cable"):
                _ip("-n", namespace, *arguments.split())
        _ip("-n", name, *f"route add default via {there}".split())
        yield Network(name, here)
    finally:
        _ip("netns", "delete", name)


@contextmanager
def one_cable_each(count: int) -> Iterator[list[Network]]:
    """Namespaces with one address each, on a switch in a namespace of its own: none is on the way to another."""
    assert os.geteuid() == 0, "this needs root, for `ip netns`"
    switch = f"auralink-{os.getpid()}-{next(_numbers)}"
    names = [f"{switch}-{number}" for number in range(1, count + 1)]
    made = []
    try:
        for name in (switch, *names):
            _ip("netns", "add", name)
            made.append(name)
        _ip("-n", switch, *["link", "add", "switch", "type", "bridge"])
        _ip("-n", switch, *["link", "set", "switch", "up"])
        for number, name in enumerate(names, 1):
            _ip("-n", switch, *f"link add port{number} type veth peer name cable netns {name}".split())
            _ip("-n", switch, *f"link set port{number} master switch up".split())
            for arguments in ("link set lo up", "link set cable up", f"address add 10.197.0.{number}/24 dev cable"):
                _ip("-n", name, *arguments.split())
        yield [Network(name, f"10.197.0.{number}") for number, name in enumerate(names, 1)]
    finally:
        for name in made:
            _ip("netns", "delete", name)


def set_cable(network: Network, *, up: bool) -> None:
    """Take one of `one_cable_each` off the network, as its own machine knows, or put it back."""
    assert network.namespace
    _ip("-n", network.namespace, *f"link set cable {'up' if up else 'down'}".split())


def set_port(network: Network, *, up: bool) -> None:
    """The same at the far end, at the switch, of which its own machine is told nothing but that there is no carrier."""
    assert network.namespace
    switch, _, number = network.namespace.rpartition("-")
    _ip("-n", switch, *f"link set port{number} {'up' if up else 'down'}".split())


def replace_address(network: Network, old: str, new: str, gateway: str = "10.198.0.1") -> None:
    """Take a neighbour's address away and give it another one, as a network does that one has walked into."""
    assert network.namespace
    _ip("-n", network.namespace, *f"address del {old}/24 dev cable".split())
    _ip("-n", network.namespace, *f"address add {new}/24 dev cable".split())
    _ip("-n", network.namespace, *f"route replace default via {gateway}".split())


@contextmanager
def no_udp(network: Network) -> Iterator[None]:
    """A firewall in a namespace that lets no UDP out or in, as many offices have one; what runs already notices too."""
    assert network.namespace, "only in a namespace there is nobody else to disturb"
    rules = [[chain, "--protocol", "udp", "--jump", "DROP"] for chain in ("INPUT", "OUTPUT")]
    for rule in rules:
        _run(*network.command("iptables", "--append", *rule))
    try:
        yield
    finally:
        for rule in rules:
            _run(*network.command("iptables", "--delete", *rule))


def own_address() -> str | None:
    """The address that this machine would send from, if it has one; no packet is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
