"""The composition root: builds the real parts from Settings, runs them, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from sfu.addresses import LocalAddress, local_addresses
from sfu.engine import Engine, EngineOptions
from sfu.media_plane import MediaPlane

from . import http, migration
from .conference import Conference, Rules
from .config import ConfigError, Settings
from .ice_servers import IceServerList
from .limits import Rate
from .metrics import Metrics, Sizes
from .server import Server
from .tokens import Key, Tokens, secret_key
from .websocket_protocol import HttpProtocol, WebSocketProtocol

log = logging.getLogger(__name__)

MIGRATION_SHARE = 0.5  # of the grace: as long clients may take to go on elsewhere, if there is somewhere to go
SPREAD_SHARE = 0.3  # of that time: within it they are asked to, so that they do not arrive all at once
GOODBYE_SHARE = 0.5  # of the grace that is left: as long clients may take to read their goodbye
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    tokens: Tokens
    conference: Conference
    stop: Callable[[], Awaitable[None]]  # what a signal does: goodbyes, then the end of `running`
    restart_media: Callable[[], None]  # have everybody build new media connections


def build_media_plane(settings: Settings) -> Engine:
    """The media plane that the settings ask for; enter it to bind its sockets."""
    addresses = [LocalAddress(a.local, a.public, a.public_port or None) for a in settings.media_ip]
    return Engine(
        EngineOptions(
            # Loopback only where page and server share a machine; and Firefox never checks loopback.
            addresses or local_addresses(loopback=settings.dev_mode),
            settings.media_port,
        )
    )


def build_conference(settings: Settings, tokens: Tokens) -> Conference:
    """The conference with the rules that the settings ask for."""
    ice = IceServerList(settings.stun, settings.turn, settings.turn_secret, settings.turn_lifetime)
    rules = Rules(
        join_timeout=settings.join_timeout,
        resume_window=settings.resume_window,
        max_rooms=settings.max_rooms,
        max_participants_per_room=settings.max_participants_per_room,
        max_tracks_per_participant=settings.max_tracks_per_participant,
        messages=_burst(settings.messages_per_second, 2),
        chats=_burst(settings.chats_per_second, 5),
        joins=_burst(settings.joins_per_second, 5),
        failures=_burst(settings.failures_per_second, 10),
        max_connections_per_identity=settings.max_connections_per_identity,
        max_bad_messages=settings.max_bad_messages,
    )
    return Conference(rules, tokens, ice.for_participant, secrets.token_bytes)


def _burst(per_second: float, times: float) -> Rate:
    return Rate(per_second, max(1.0, per_second * times))


# --------------------------------------------------------------------------------------------------------- running


@contextlib.asynccontextmanager
async def running(settings: Settings, media: MediaPlane) -> AsyncIterator[Running]:
    """Serve with `media` until the block ends. Media is the caller's: it is not closed here."""
    keys: tuple[Key, ...] = settings.keys or (secret_key("dev", secrets.token_bytes(32)),)
    tokens = Tokens(keys)
    conference = build_conference(settings, tokens)
    counts = Metrics(
        CollectorRegistry(), lambda: Sizes(len(conference.rooms), len(conference.sessions), len(conference.sockets))
    )
    conference.limited = counts.limit_refused
    server = Server(
        conference, media, counts, outbox_messages=settings.outbox_messages, outbox_bytes=settings.outbox_bytes
    )
    sockets = listen(settings)
    port: int = sockets[0].getsockname()[1]
    web = http.build(settings=settings, server=server, tokens=tokens, media=media, counts=counts, port=port)
    listener = _Uvicorn(_uvicorn_config(settings, web))

    migrating = settings.shutdown_grace * MIGRATION_SHARE if settings.migrate_to else 0.0

    async def stop() -> None:
        if settings.migrate_to:
            await server.migrate(settings.migrate_to, "shutting_down", migrating * SPREAD_SHARE, migrating)
        await server.shut_down((settings.shutdown_grace - migrating) * GOODBYE_SHARE)

    def restart_media() -> None:
        server.moderate(lambda conference: migration.restart_all_media(conference, "operator"))

    async with asyncio.TaskGroup() as tasks:
        core = tasks.create_task(server.run(), name="control-plane")
        listening = tasks.create_task(listener.serve(sockets), name="http")
        await listener.ready.wait()
        try:
            yield Running(port, tokens, conference, stop, restart_media)
        finally:
            await stop()
            listener.should_exit = True
            await listening
            core.cancel()


class _Uvicorn(uvicorn.Server):
    """uvicorn that says when it is ready, and leaves signals alone: they mean goodbyes first, which is our business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn_config(settings: Settings, web: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        ws=WebSocketProtocol,
        http=HttpProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=settings.max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_interval,
        ws_ping_timeout=settings.ping_interval,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=max(1, int(settings.shutdown_grace * (1 - GOODBYE_SHARE))),
    )


def listen(settings: Settings) -> list[socket.socket]:
    """The listening sockets, all on one port. Raises ConfigError where the address cannot be taken."""
    if settings.host:
        hosts: tuple[str, ...] = LOOPBACK if settings.host == "localhost" else (settings.host,)
    else:
        hosts = LOOPBACK if settings.dev_mode else ("0.0.0.0", "::")  # noqa: S104 - with keys it is meant for all
    for _ in range(20):  # a free port of one family may be taken in the other
        try:
            return _listen(hosts, settings.port)
        except OSError as error:
            if settings.port or error.errno != errno.EADDRINUSE:
                place = f"{settings.host or 'localhost'}, port {settings.port},"
                raise ConfigError(f"HTTP cannot listen on {place} because: {_why(error)}.") from None
    raise ConfigError("--port 0: no port is free.")


def _listen(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            if family == socket.AF_INET6 and len(hosts) > 1 and not _has_ipv6(host):
                continue
            listener = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            listener.setblocking(False)
            port = listener.getsockname()[1]
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _has_ipv6(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------ the process


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and end in order."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    async with contextlib.AsyncExitStack() as stack:
        try:
            media = await stack.enter_async_context(build_media_plane(settings))
        except OSError as error:
            raise ConfigError(f"Media cannot listen on UDP port {settings.media_port}: {_why(error)}.") from None
        server = await stack.enter_async_context(running(settings, media))
        loop.add_signal_handler(signal.SIGUSR1, server.restart_media)
        _announce(settings, server, media.port)
        gc.collect()
        gc.freeze()  # what is alive now stays so: a full collection need not look at it (it would hold up media)
        await ended.wait()
        goal = f"going on at {settings.migrate_to}" if settings.migrate_to else "saying goodbye"
        log.info("Asked to end: %d connections are %s", len(server.conference.sockets), goal)


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _announce(settings: Settings, server: Running, media_port: int) -> None:
    if settings.dev_mode:
        log.warning("Dev mode: no keys are set, so only this machine can connect, and its page gets tokens by itself")
    host = settings.host if settings.host and settings.host not in LOOPBACK else "localhost"
    print(f"AuraLink is ready: http://{f'[{host}]' if ':' in host else host}:{server.port}", flush=True)
    if settings.ready_file:
        # Renamed into place, so that who waits for the file never reads half of it.
        ready = {"pid": os.getpid(), "port": server.port, "media_port": media_port}
        path = Path(settings.ready_file)
        path.with_suffix(".part").write_text(json.dumps(ready))
        path.with_suffix(".part").replace(path)


def run(settings: Settings) -> None:
    """Serve in this process, on uvloop, until a signal ends it."""
    import uvloop

    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its warnings are what strangers send
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
