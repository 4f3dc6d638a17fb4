"""The `auralink` command: `serve` a server, `load` it with peers, make a `token`, `probe` STUN and TURN servers."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from typing import NoReturn

import loadtest.cli
import turn_probe.cli
from state.model import Source

from . import config
from .admin_tokens import AdminTokens
from .keys import KeyConfigError, TokenError
from .option_values import ConfigError
from .tokens import SOURCES, Grant, Tokens

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        _give_up(message)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A wrong value ends it with one sentence on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ConfigError, KeyConfigError, TokenError) as error:
        _give_up(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="auralink", description="A WebRTC signalling server and SFU.", allow_abbrev=False)
    commands = parser.add_subparsers(title="commands", required=True, parser_class=_Parser, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run a server", allow_abbrev=False))
    _add_token(commands.add_parser("token", help="print an access token", allow_abbrev=False))
    loadtest.cli.add_parser(commands)
    turn_probe.cli.add_parser(commands)
    return parser


# ------------------------------------------------------------------------------------------------------------ serve


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a server. Each option is also a variable: --media-port is AURALINK_MEDIA_PORT."
    for option in fields(config.Settings):
        help = option.metadata["help"]
        if option.default not in ("", (), None):
            usual = {True: "on", False: "off"}[option.default] if isinstance(option.default, bool) else option.default
            help += f" (default {usual})"
        parser.add_argument(
            config.flag_of(option.name),
            dest=option.name,
            default=argparse.SUPPRESS,
            metavar=option.metadata["metavar"],
            help=help.replace("%", "%%"),
        )
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> None:
    from . import process  # the server's libraries are not needed to make a token

    flags = {name: value for name, value in vars(options).items() if name != "run"}
    process.run(config.load(flags, os.environ))


# ------------------------------------------------------------------------------------------------------------ token


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print an access token, signed with the first key that can sign."
    parser.add_argument("--room", help="the room it opens")
    parser.add_argument("--identity", help="who it is for; one session per room at a time")
    parser.add_argument("--name", help="the name others see (default: the identity)")
    parser.add_argument(
        "--publish", default="all", metavar="SOURCES", help=f"all, none, or some of {','.join(SOURCES)} (default: all)"
    )
    parser.add_argument("--no-subscribe", action="store_true", help="may not receive media")
    parser.add_argument("--no-chat", action="store_true", help="may not chat")
    parser.add_argument("--admin", action="store_true", help="is a moderator of the room")
    parser.add_argument("--wait", action="store_true", help="waits until a moderator lets it in")
    parser.add_argument("--admin-api", action="store_true", help="a token for the admin API, which opens no room")
    parser.add_argument("--ttl", default="6h", metavar="TIME", help="how long it is valid: 90s, 15m, 6h, 7d")
    parser.add_argument("--keys", default=argparse.SUPPRESS, metavar="KID:SECRET,…", help="else AURALINK_KEYS is used")
    parser.add_argument(
        "--admin-keys", default=argparse.SUPPRESS, metavar="KID:SECRET,…", help="else AURALINK_ADMIN_KEYS is used"
    )
    parser.set_defaults(run=_token)


def _token(options: argparse.Namespace) -> None:
    flags = {name: value for name, value in vars(options).items() if name in ("keys", "admin_keys")}
    known = ("AURALINK_KEYS", "AURALINK_ADMIN_KEYS")
    settings = config.load(flags, {name: value for name, value in os.environ.items() if name in known})
    print(_admin_token(options, settings) if options.admin_api else _access_token(options, settings))


def _admin_token(options: argparse.Namespace, settings: config.Settings) -> str:
    if not settings.admin_keys:
        raise ConfigError("A token for the admin API needs a key: set --admin-keys or AURALINK_ADMIN_KEYS.")
    return AdminTokens(settings.admin_keys).issue(
        wall=time.time(), lifetime=_lifetime(options.ttl), name=options.identity or ""
    )


def _access_token(options: argparse.Namespace, settings: config.Settings) -> str:
    if not options.room or not options.identity:
        raise ConfigError("A token needs --room and --identity.")
    if not settings.keys:
        raise ConfigError("A token needs a key: set --keys or AURALINK_KEYS.")
    return Tokens(settings.keys).issue(
        room=options.room,
        identity=options.identity,
        name=options.name,
        wall=time.time(),
        lifetime=_lifetime(options.ttl),
        grant=Grant(_sources(options.publish), not options.no_subscribe, not options.no_chat, options.admin),
        wait=options.wait,
    )


def _sources(text: str) -> frozenset[Source]:
    if text in ("all", "none"):
        return frozenset(SOURCES if text == "all" else ())
    wanted = [part.strip() for part in text.split(",")]
    unknown = [source for source in wanted if source not in SOURCES]
    if unknown:
        raise ConfigError(f"--publish: {unknown[0]!r} is not one of all, none, {', '.join(SOURCES)}.")
    return frozenset(source for source in SOURCES if source in wanted)


def _lifetime(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 8) or unit not in UNITS:
        raise ConfigError(f"--ttl: {text!r} is not a time like 90s, 15m, 6h or 7d.")
    return float(int(number) * UNITS[unit])


def _give_up(sentence: str) -> NoReturn:
    print(f"auralink: {sentence}", file=sys.stderr)
    raise SystemExit(2)
