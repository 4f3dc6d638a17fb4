"""The way into a room: to its home if the server sends us there, and back to stay where we came in if that is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .owner import Owner
from .signalling import Message, Signalling, SignallingError

_MOST_REDIRECTS = 3  # in a row
_BRIEFLY = 2.0  # seconds for a socket to open where there is another way
_GONE = ("closed", "shutting_down")


@dataclass(frozen=True, slots=True)
class Entered:
    """A session, the server's welcome, and how often we were sent on before."""

    signalling: Signalling
    welcome: Message
    url: str
    redirects: int


async def enter(url: str, token: str, owner: Owner, on_message: Callable[[Message], None]) -> Entered:
    """Join at `url`, or wherever that leads; `owner` reads the sockets. Raises SignallingError."""
    target, stay, redirects = url, False, 0
    while True:
        try:
            signalling, reply = await _knock(target, token, owner, on_message, stay=stay, brief=target != url)
        except SignallingError as error:
            if target == url or error.code not in _GONE:
                raise
            target, stay = url, True
            continue
        if reply["type"] != "redirect":
            return Entered(signalling, reply, target, redirects)
        await signalling.close()
        if stay:
            raise SignallingError("redirected", "the server sends on even who asks to stay")
        redirects += 1
        target, stay = (str(reply["url"]), False) if redirects <= _MOST_REDIRECTS else (url, True)


async def _knock(
    url: str, token: str, owner: Owner, on_message: Callable[[Message], None], *, stay: bool, brief: bool
) -> tuple[Signalling, Message]:
    signalling = await Signalling.open(url, on_message, **({"within": _BRIEFLY} if brief else {}))
    owner.start(signalling.read())
    join = {"type": "join", "token": token, "subscribe": "auto"}
    try:
        return signalling, await signalling.request({**join, "stay": True} if stay else join)
    except BaseException:
        await signalling.close()
        raise
