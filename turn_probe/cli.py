"""`auralink probe`: try STUN and TURN servers once, as clients use them, and print what works and what does not."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from typing import Any, NoReturn

from . import credentials, urls
from .one_shot import OneShot
from .report import Report, Verdict
from .table import plain, table

Echo = tuple[str, int]


def add_parser(subparsers: Any) -> None:
    """Add the command to what `ArgumentParser.add_subparsers` gave; its `run` takes the parsed options."""
    parser = subparsers.add_parser("probe", help="try STUN and TURN servers as clients use them", allow_abbrev=False)
    parser.description = (
        "Try each server step by step: resolve, connect, ask without credentials, allocate a relay, bind a channel, "
        "send checks through it, give it back. The exit code is 0 if all servers are healthy, else 1."
    )
    add = parser.add_argument
    add(
        "url",
        nargs="*",
        metavar="URL",
        help="turn:HOST:PORT?transport=udp|tcp, turns:HOST, stun:HOST, stuns:HOST (default: AURALINK_TURN and _STUN)",
    )
    add("--secret", metavar="SECRET[,SECRET]", help="shared with the servers; else AURALINK_TURN_SECRET is used")
    add(
        "--user",
        metavar="NAME:PASSWORD",
        help="fixed credentials, for servers without a shared secret; else AURALINK_TURN_USER is used",
    )
    add(
        "--echo",
        type=_echo,
        metavar="HOST:PORT",
        help="who sends checks back: a media port of AuraLink with the same secret, a STUN or an echo server "
        "(default: a socket of this command, or a second relay behind a NAT)",
    )
    add("--ca", metavar="PATH", help="PEM file with certificates to trust in, beside the system's")
    add("--json", action="store_true", help="print JSON, one line for each round")
    add("--watch", type=_seconds, nargs="?", const=10.0, metavar="SECONDS", help="probe again and again (every 10)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Exits with 0, with 1 if not all is healthy, with 2 for wrong options."""
    texts = options.url or [
        url.strip()
        for name in ("AURALINK_TURN", "AURALINK_STUN")
        for url in os.environ.get(name, "").split(",")
        if url.strip()
    ]
    if not texts:
        _give_up("which server? Name one, such as turn:example.org:3478?transport=udp, or set AURALINK_TURN")
    try:
        servers = [urls.parse(text) for text in dict.fromkeys(texts)]
    except urls.UrlError as error:
        _give_up(str(error))
    secret = options.secret or os.environ.get("AURALINK_TURN_SECRET", "")
    user = options.user or os.environ.get("AURALINK_TURN_USER", "")
    try:
        fixed = credentials.fixed_user(user) if user else None
    except ValueError:
        _give_up(f"{'--user' if options.user else 'AURALINK_TURN_USER'} is not of the form NAME:PASSWORD")
    tls = ssl.create_default_context()
    if options.ca:
        try:
            tls.load_verify_locations(options.ca)
        except OSError:
            _give_up(f"the certificates in {options.ca!r} cannot be read")
    one_shot = OneShot(
        credentials.accounts([part.strip() for part in secret.split(",") if part.strip()], fixed),
        options.echo,
        tls,
    )
    try:
        healthy = asyncio.run(_probe(one_shot, servers, options))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0 if healthy else 1)


async def _probe(one_shot: OneShot, servers: list[urls.Server], options: argparse.Namespace) -> bool:
    while True:
        reports = await one_shot.probe(servers)
        _show(reports, as_json=options.json, at=options.watch is not None)
        if options.watch is None:
            return all(report.verdict is Verdict.UP for report in reports)
        await asyncio.sleep(options.watch)


def _show(reports: list[Report], *, as_json: bool, at: bool) -> None:
    if as_json:
        print(json.dumps({"time": round(time.time(), 3), "servers": [plain(report) for report in reports]}), flush=True)
        return
    if at:
        print(time.strftime("%H:%M:%S"))
    print(table(reports), flush=True)


def _echo(text: str) -> Echo:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1 to 86400 seconds")
    return value


def _give_up(sentence: str) -> NoReturn:
    print(f"auralink probe: {sentence}.", file=sys.stderr)
    raise SystemExit(2)
