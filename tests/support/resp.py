"""A word with a Redis server in its own protocol, without the library that is under test."""

from __future__ import annotations

import asyncio

from .network import HOST, Network

Reply = str | int | list["Reply"] | None
ANSWERS_WITHIN = 5.0


class RespError(Exception):
    """What the server answered was an error, e.g. `OOM command not allowed …`."""


async def ask(
    port: int,
    *arguments: str | int,
    password: str = "",
    within: float = ANSWERS_WITHIN,
    network: Network = HOST,
) -> Reply:
    """Say one command on a connection of its own and return the answer.

    Raises RespError when the server refuses, OSError when it cannot be reached, EOFError when it hangs up, and
    TimeoutError when it says nothing for `within` seconds.
    """
    async with asyncio.timeout(within):
        reader, writer = await network.open_connection("127.0.0.1", port)
        try:
            if password:
                writer.write(_command("AUTH", password))
                await _reply(reader)
            writer.write(_command(*map(str, arguments)))
            return await _reply(reader)
        finally:
            writer.close()


def _command(*arguments: str) -> bytes:
    encoded = [argument.encode() for argument in arguments]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in encoded)


async def _reply(reader: asyncio.StreamReader) -> Reply:
    line = (await reader.readuntil(b"\r\n"))[:-2].decode()
    kind, rest = line[:1], line[1:]
    if kind == "-":
        raise RespError(rest)
    if kind == "+":
        return rest
    if kind == ":":
        return int(rest)
    if kind == "$":
        return None if rest == "-1" else (await reader.readexactly(int(rest) + 2))[:-2].decode(errors="replace")
    if kind == "*":
        return None if rest == "-1" else [await _reply(reader) for _ in range(int(rest))]
    raise AssertionError(f"this is no answer of Redis: {line!r}")
