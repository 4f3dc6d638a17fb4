"""`auralink load`: fill a server's rooms with synthetic peers and print what was delivered."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn
from urllib.parse import urlsplit

import uvloop

from . import load, tokens
from .load import Load, Outcome
from .publication import Rates, SourceName
from .table import percentile, table

_URL = "ws://localhost:8080/ws"


def add_parser(subparsers: Any) -> None:
    """Add the command to what `ArgumentParser.add_subparsers` gave; its `run` takes the parsed options."""
    parser = subparsers.add_parser("load", help="fill rooms with synthetic peers and count what arrives")
    parser.description = (
        "Join synthetic peers that publish and receive without codecs, prove packet by packet what each of them got, "
        "and print it. The exit code is 0 if every packet reached everybody."
    )
    add = parser.add_argument
    add(
        "--url",
        type=_websocket_urls,
        action="extend",
        metavar="URL[,URL]",
        help=f"the server (default {_URL}); with several, participants are spread over them",
    )
    add("--rooms", type=_count, default=1, metavar="N", help="rooms (default 1)")
    add("--participants", type=_count, default=2, metavar="N", help="participants in each room (default 2)")
    add("--duration", type=_positive, default=10.0, metavar="SECONDS", help="how long to measure (default 10)")
    add("--video-kbps", type=_positive, default=500.0, metavar="KBPS", help="bitrate of each camera (default 500)")
    add("--fps", type=_positive, default=30.0, help="frames per second of each camera (default 30)")
    add("--audio-kbps", type=_positive, default=32.0, metavar="KBPS", help="bitrate of each microphone (default 32)")
    add("--no-video", action="store_true", help="publish no camera")
    add("--no-audio", action="store_true", help="publish no microphone")
    add(
        "--media",
        choices=("udp", "tcp"),
        default="udp",
        help="how media travels; tcp is ICE-TCP, as behind a firewall that lets no UDP through (default udp)",
    )
    add("--room-prefix", default="load", metavar="NAME", help="rooms are NAME-1, NAME-2, … (default load)")
    add("--keys", metavar="KID:SECRET", help="sign tokens with this key; else AURALINK_KEYS is used")
    add(
        "--token-endpoint",
        type=_http_url,
        metavar="URL",
        help="ask here for tokens; without keys the server's /api/dev/token is asked",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Exits with 0, with 1 if not everything was delivered, with 2 for wrong options."""
    urls: list[str] = options.url or [_URL]
    publish: list[SourceName] = []
    if not options.no_audio:
        publish.append("microphone")
    if not options.no_video:
        publish.append("camera")
    if not publish:
        _give_up("nothing is published with both --no-audio and --no-video")
    keys = options.keys or os.environ.get("AURALINK_KEYS")
    try:
        source = (
            tokens.from_keys(keys)
            if keys and not options.token_endpoint
            else tokens.from_endpoint(options.token_endpoint or tokens.endpoint_of(urls[0]))
        )
    except tokens.TokenRefused as error:
        _give_up(str(error))
    rates = Rates(
        video_bitrate=options.video_kbps * 1000, frame_rate=options.fps, audio_bitrate=options.audio_kbps * 1000
    )
    wanted = Load(
        urls=urls,
        tokens=source,
        rooms=options.rooms,
        participants=options.participants,
        publish=tuple(publish),
        rates=rates,
        duration=options.duration,
        room_prefix=options.room_prefix,
        by_tcp=options.media == "tcp",
    )
    try:
        outcome = uvloop.run(load.run(wanted))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(describe(outcome))
    raise SystemExit(0 if outcome.is_perfect else 1)


def describe(outcome: Outcome) -> str:
    """The outcome as a table for people, with what went wrong below it."""
    reports = outcome.reports
    joins = [report.connected_in for report in reports]
    first_video = [seconds for report in reports for seconds in report.first_video]
    share = 100 * outcome.delivered / outcome.due if outcome.due else 0.0
    rows = [
        ["joined", f"{len(reports)} of {outcome.wanted}"],
        ["from connecting to media, p50 / p95", _pair(joins)],
        ["tracks published", f"{outcome.tracks_sent}"],
        ["packets sent", f"{outcome.sent}"],
        ["deliveries due", f"{outcome.due}"],
        ["delivered", f"{share:.4f} %"],
        ["lost", f"{outcome.due - outcome.delivered}"],
        ["delivered more than once", f"{outcome.repeated}"],
        ["delivered by both connections of a move", f"{outcome.doubled}"],
        ["sent on to the room's home", f"{sum(report.redirects for report in reports)}"],
        ["moved to another server", f"{sum(report.migrations for report in reports)}"],
        ["longest pause of a track, p50 / p95", _pair(outcome.pauses)],
        ["longest pause of all", f"{1000 * max(outcome.pauses):.0f} ms" if outcome.pauses else "-"],
        ["in the wrong slot", f"{outcome.misplaced}"],
        ["repaired by retransmission", f"{sum(report.repaired for report in reports)}"],
        ["not sent, as a buffer was full", f"{sum(report.blocked for report in reports)}"],
        ["arrived before their answer", f"{sum(report.early for report in reports)}"],
        ["first video after its slot, p50 / p95", _pair(first_video)],
        ["CPU of this process", f"{100 * outcome.cpu / outcome.elapsed:.0f} % of a core" if outcome.elapsed else "-"],
        ["latest media tick", f"{1000 * outcome.late:.0f} ms late"],
    ]
    lines = [table(["load", "result"], rows)]
    if outcome.unsettled:
        lines.append(f"{outcome.unsettled} tracks never began to play at one of their receivers.")
    lines += _some("failed", outcome.failures)
    lines += _some("error", [f"{report.participant}: {error}" for report in reports for error in report.errors])
    lines += _some(
        "missing",
        [
            f"{gap.receiver} lacks {gap.absent} of {gap.sent} {gap.source} packets of {gap.sender}"
            + (f" and got {gap.repeated} more than once" if gap.repeated else "")
            for gap in outcome.missing
        ],
    )
    return "\n".join(lines)


def _some(what: str, lines: list[str], most: int = 10) -> list[str]:
    more = [f"… and {len(lines) - most} more"] if len(lines) > most else []
    return [f"{what}: {line}" for line in lines[:most]] + more


def _pair(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    return f"{1000 * percentile(seconds, 0.5):.0f} / {1000 * percentile(seconds, 0.95):.0f} ms"


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count from 1 to 10000")
    return int(text)


def _websocket_urls(text: str) -> list[str]:
    return [_url(part, "ws", "wss") for part in text.split(",")]


def _http_url(text: str) -> str:
    return _url(text, "http", "https")


def _url(text: str, *schemes: str) -> str:
    try:
        parts = urlsplit(text)
        complete = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, or no port
        complete = False
    if not complete:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {schemes[0]}:// or {schemes[1]}:// address")
    return text


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _give_up(sentence: str) -> NoReturn:
    print(f"auralink load: {sentence}.", file=sys.stderr)
    raise SystemExit(2)
