"""Two people in a call who have met: Fay uses Firefox, Ada uses Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .call import Person, all_meet, new_room, person
from .chromium import Chromium, running_chromium
from .firefox import Firefox, running_firefox
from .network import Network
from .server import RunningServer


@dataclass(frozen=True, slots=True)
class Call:
    """Their room, and the browsers, for whoever else joins."""

    room: str
    firefox: Firefox
    chromium: Chromium
    fay: Person
    ada: Person


@asynccontextmanager
async def fay_and_ada(network: Network, server: RunningServer) -> AsyncIterator[Call]:
    """They see and hear each other when the block begins."""
    async with running_firefox(network) as firefox, running_chromium(network) as chromium:
        room = new_room()
        fay = await person(await firefox.page(), server, room, "fay")
        ada = await person(await chromium.page(), server, room, "ada")
        await all_meet([fay, ada])
        yield Call(room, firefox, chromium, fay, ada)
