"""Names of servers and their addresses, looked up with patience of our own, and remembered for when the DNS is away."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Self

from .turn import Address

FRESH = 30.0  # seconds for which an answer is not asked for again; longer would find a moved server later
STALE = 86_400.0  # seconds for which an answer is better than none (RFC 8767 section 5 has one to three days)
GONE = (socket.EAI_NONAME, socket.EAI_NODATA)


class Resolver:
    """Use as `async with Resolver() as resolver:`. It looks up a name once at a time, whoever asks."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._running.values()):
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def look_up(self, host: str, port: int, patience: float) -> list[Address]:
        """The addresses of `host`; if nobody can be asked within `patience` seconds, the last known ones, or none."""
        try:
            return [(str(ipaddress.ip_address(host)), port)]
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        at, addresses = self._known.get(host, (float("-inf"), []))
        if loop.time() - at > FRESH:
            task = self._running.get(host)
            if task is None:
                # One at a time: a name server that hangs would else take one thread after the other.
                task = self._running[host] = self._tasks.create_task(self._ask(host), name=f"DNS {host}")
                task.add_done_callback(lambda _: self._running.pop(host, None))
            await asyncio.wait([task], timeout=patience)
            at, addresses = self._known.get(host, (float("-inf"), []))
            if loop.time() - at > STALE:
                return []
        return [(address, port) for address in addresses]

    async def _ask(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except socket.gaierror as error:
            if error.errno in GONE:  # an answer too
                self._known.pop(host, None)
            return
        except (OSError, UnicodeError):
            return  # what was known before is the best there is
        self._known[host] = loop.time(), list(dict.fromkeys(str(entry[4][0]) for entry in found))
