"""The Lua scripts that run in Redis, read from lua/ when this is imported, and the commands that run them there."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files

from .redis_commands import Command


class Script:
    """A Lua script, called by its hash: the server is told the text only if it does not know it yet."""

    def __init__(self, name: str) -> None:
        self._text = (files(__package__) / "lua" / name).read_text()
        self._hash = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def by_hash(self, keys: Sequence[str], arguments: Sequence[str | int]) -> Command:
        """The command that runs it where it is known."""
        return ("EVALSHA", self._hash, len(keys), *keys, *arguments)

    def by_text(self, keys: Sequence[str], arguments: Sequence[str | int]) -> Command:
        """The command that runs it anywhere, and makes it known."""
        return ("EVAL", self._text, len(keys), *keys, *arguments)


ANNOUNCE = Script("announce.lua")
WRITE_SLICE = Script("write_slice.lua")
