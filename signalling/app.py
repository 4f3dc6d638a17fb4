"""The composition root: builds the real parts from Settings, runs them, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import importlib.metadata
import json
import logging
import math
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from sfu.addresses import LocalAddress, local_addresses
from sfu.engine import Engine, EngineOptions
from sfu.media_plane import MediaPlane
from state.guard import Guard, Limits
from state.link import Link
from state.model import NodeId
from state.modes import Modes
from state.redis_store import RedisStore
from state.sharing import Sharing
from state.wire import NodeRecord
from turn_probe import urls
from turn_probe.credentials import EchoLogin, echo_login
from turn_probe.fleet import Offered
from turn_probe.mapped import Mapped
from turn_probe.monitor import PACE, Monitor

from . import dependencies, http, migration
from .admin import Admin
from .admin_circuits import CircuitAdmin
from .certificates import Certificate, CertificateError
from .cluster import Cluster
from .conference import Conference, Rules
from .config import AUTO, Bind, ConfigError, Settings, is_loopback
from .degraded_headers import DegradedHeaders
from .events import RelaysChanged
from .ice_servers import IceServerList
from .limits import Rate
from .listeners import LOOPBACK, Listener, listen, port_of, why
from .loop_lag import LoopLag
from .metrics import Metrics, Sizes
from .metrics_relays import RelayMetrics, watch_address
from .metrics_shared import SharedMetrics
from .operators import LocalDoor, OpenDoor, Operators, TokenDoor, application
from .public_address import PublicAddress
from .readiness import Readiness
from .server import Server
from .tokens import AdminTokens, Key, Tokens, secret_key

log = logging.getLogger(__name__)

MIGRATION_SHARE = 0.5  # of the grace: as long clients may take to go on elsewhere, if there is somewhere to go
SPREAD_SHARE = 0.3  # of that time: within it they are asked to, so that they do not arrive all at once
GOODBYE_SHARE = 0.5  # of the grace that is left: as long clients may take to read their goodbye


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    admin_port: int  # of the listener for operators; 0 if there is none
    tokens: Tokens
    conference: Conference
    stop: Callable[[], Awaitable[None]]  # what a signal does: goodbyes, then the end of `running`
    moderate: Callable[[Callable[[Conference], None]], None]  # carries out a verb of moderation; raises Refused
    restart_media: Callable[[], None]  # have everybody build new media connections


def build_media_plane(settings: Settings, own_probes: EchoLogin) -> Engine:
    """The media plane that the settings ask for; enter it to bind its sockets. It answers probes of ours and others."""
    named = [LocalAddress(a.local, a.public, a.public_port or None) for a in settings.media_ip if a != AUTO]
    probes = [own_probes, *(echo_login(account.text) for account in settings.turn_accounts)]
    return Engine(
        EngineOptions(
            # Loopback only where page and server share a machine; and Firefox never checks loopback.
            named or local_addresses(loopback=settings.dev_mode),
            settings.media_port,
            settings.media_tcp,
            publish_kbps=settings.max_publish_kbps,
            probes={login.ufrag: login.password for login in probes},
        )
    )


def new_echo_login() -> EchoLogin:
    """For the probes of this very process: nobody else can have its media port too busy to answer them."""
    return echo_login(secrets.token_hex(32))


def build_monitor(settings: Settings, media: MediaPlane, own_probes: EchoLogin) -> Monitor | None:
    """Who watches the STUN and TURN servers, if there are any and they are to be watched."""
    accounts = settings.turn_accounts
    texts = [*(settings.turn if accounts else ()), *settings.stun]
    if not texts or not settings.turn_probe_interval:
        return None
    pace = PACE.at_interval(settings.turn_probe_interval)
    echo = media.ports.announced if isinstance(media, Engine) else []
    relays = [urls.parse(text) for text in texts]
    return Monitor(relays, accounts, echo, own_probes, lifetime=settings.turn_lifetime, pace=pace)


def build_conference(settings: Settings, tokens: Tokens, ice: IceServerList) -> Conference:
    """The conference with the rules that the settings ask for."""
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
        relay_credentials=settings.turn_lifetime if settings.turn and settings.turn_secret else math.inf,
    )
    return Conference(rules, tokens, ice.for_participant, secrets.token_bytes)


def build_link(settings: Settings, port: int) -> Link | None:
    """The way to the other instances, if there are any. Raises ConfigError."""
    if not settings.redis_url:
        return None
    try:
        store = RedisStore(settings.redis_url)
    except ValueError as error:
        raise ConfigError(f"--redis-url: {error}") from None
    record = NodeRecord(
        node=NodeId(settings.node or f"node-{secrets.token_hex(3)}"),
        nonce="",
        url=settings.advertise_url or _own_url(settings, port),
        region=settings.region,
        started=time.time(),
    )
    if not record.url:
        log.warning("Nobody is sent here by other instances until --advertise-url says where clients reach this one")
    limits = Limits(max_failures=settings.circuit_breaker_max_failures, timeout=settings.circuit_breaker_timeout)
    chance = random.SystemRandom().random
    now = time.monotonic()
    return Link(
        Sharing(
            record,
            guard=lambda listener: Guard("redis", limits, listener, chance, now),
            modes=Modes(now),
            random=secrets.token_bytes,
            now=now,
        ),
        store,
    )


def _own_url(settings: Settings, port: int) -> str:
    """Where clients reach this instance, if it serves one address only; empty if nobody can say."""
    if not settings.host:
        return ""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'wss' if settings.tls_cert else 'ws'}://{host}:{port}/ws"


def build_certificate(settings: Settings) -> Certificate | None:
    """The certificate for TLS, if one is set. Raises ConfigError."""
    if not settings.tls_cert:
        return None
    try:
        return Certificate(settings.tls_cert, settings.tls_key)
    except CertificateError as error:
        raise ConfigError(f"--tls-cert: {error}") from None


def _burst(per_second: float, times: float) -> Rate:
    return Rate(per_second, max(1.0, per_second * times))


# --------------------------------------------------------------------------------------------------------- running


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    media: MediaPlane,
    own_probes: EchoLogin | None = None,
    address: PublicAddress | None = None,
) -> AsyncIterator[Running]:
    """Serve with `media` until the block ends. Media is the caller's: it is not closed here.

    It answers `own_probes`, and is announced at `address` if STUN servers are to tell that.
    """
    keys: tuple[Key, ...] = settings.keys or (secret_key("dev", secrets.token_bytes(32)),)
    tokens = Tokens(keys)
    ice = IceServerList(settings.stun, settings.turn, settings.turn_accounts, settings.turn_lifetime)
    conference = build_conference(settings, tokens, ice)
    sockets, operator_sockets = listen(settings)
    port, admin_port = port_of(sockets), port_of(operator_sockets)
    link = build_link(settings, port)
    if link is not None:
        conference.cluster = Cluster(link.sharing)
        settings = dataclasses.replace(settings, advertise_url=link.sharing.record.url)
    version = importlib.metadata.version("auralink")
    registry = CollectorRegistry()
    counts = Metrics(
        registry,
        lambda: Sizes(len(conference.rooms), len(conference.sessions), len(conference.sockets)),
        version,
    )
    shared = SharedMetrics(registry, conference.cluster.sharing, conference.episodes, time.monotonic)
    conference.limited, conference.conflicted = counts.limit_refused, shared.conflicted
    server = Server(
        conference,
        media,
        counts,
        shared,
        link,
        outbox_messages=settings.outbox_messages,
        outbox_bytes=settings.outbox_bytes,
    )

    def relays_changed(offered: Offered) -> None:
        ice.take(offered)
        server.dispatch(RelaysChanged(offered.reason))

    monitor = build_monitor(settings, media, own_probes or new_echo_login())
    if monitor is not None:
        conference.relays = monitor.fleet
        monitor.probed = RelayMetrics(registry, monitor.fleet).probed
        monitor.changed = relays_changed
    certificate = build_certificate(settings)
    tls = certificate.context if certificate else None
    lag = LoopLag(counts.loop_lag.observe)
    public = [*Readiness(server, conference, media, lag).routes(), http.description(version)]
    operators = Operators(
        media, counts, lag, conference, version, time.monotonic(), address.checks if address else dict
    )
    admin, circuits = Admin(server), CircuitAdmin(server)
    middleware = [Middleware(DegradedHeaders, told=lambda: dependencies.headers(conference))]
    web = http.build(
        settings=settings,
        server=server,
        tokens=tokens,
        counts=counts,
        port=port,
        others=[*public, *_routes_beside_the_page(settings, operators, admin, circuits)],
        middleware=middleware,
    )
    closing = settings.shutdown_grace * (1 - GOODBYE_SHARE)
    listeners = [Listener(settings, web, sockets, tls, closing)]
    if settings.operators is not None and operator_sockets:
        secret = None if is_loopback(settings.operators.host) else tls
        routes = [*public, *_routes_for_operators(settings, operators, admin, circuits)]
        theirs = application(routes, middleware)
        listeners.append(Listener(settings, theirs, operator_sockets, secret, closing))

    def address_learned(seen: Mapped) -> None:
        if isinstance(media, Engine):
            media.ports.announce(seen.local, seen.public)
            if monitor is not None:
                monitor.look_at(media.ports.announced)

    async def stop() -> None:
        grace = settings.shutdown_grace
        if await server.retire() or settings.migrate_to:
            migrating = grace * MIGRATION_SHARE
            await server.migrate(settings.migrate_to, "shutting_down", migrating * SPREAD_SHARE, migrating)
            grace -= migrating
        await server.shut_down(grace * GOODBYE_SHARE)

    def restart_media() -> None:
        server.moderate(lambda conference: migration.restart_all_media(conference, "operator"))

    async with asyncio.TaskGroup() as tasks:
        core = tasks.create_task(server.run(), name="control-plane")
        background = [core, tasks.create_task(lag.measure(), name="event-loop-lag")]
        if certificate is not None:
            background.append(tasks.create_task(certificate.watch(), name="certificate"))
        if address is not None:
            watch_address(registry, lambda: address.seen is None)
            background.append(tasks.create_task(address.keep_asking(address_learned), name="public address"))
        if monitor is not None:
            background.append(tasks.create_task(monitor.run(), name="relays"))
        listening = [tasks.create_task(listener.run_until_told(), name="http") for listener in listeners]
        for listener in listeners:
            await listener.ready.wait()
        try:
            yield Running(port, admin_port, tokens, conference, stop, server.moderate, restart_media)
        finally:
            await stop()
            for listener in listeners:
                listener.should_exit = True
            await asyncio.gather(*listening)
            for task in background:
                task.cancel()
            if link is not None:
                await asyncio.wait([core])
                await link.end()


def _routes_beside_the_page(
    settings: Settings, operators: Operators, admin: Admin, circuits: CircuitAdmin
) -> list[BaseRoute]:
    """What of the operators' is on the main port: in dev mode all, and with admin keys all to who shows a token."""
    if settings.dev_mode:
        door = LocalDoor(operators.counts)
        return [*operators.routes(OpenDoor()), *admin.routes(door), *circuits.routes(door)]
    if settings.admin_keys:
        shown = TokenDoor(AdminTokens(settings.admin_keys), operators.counts)
        return [*operators.routes(shown), *admin.routes(shown), *circuits.routes(shown)]
    return []


def _routes_for_operators(
    settings: Settings, operators: Operators, admin: Admin, circuits: CircuitAdmin
) -> list[BaseRoute]:
    """What is on the listener of theirs: beyond this machine, rooms are changed by who shows a token only."""
    if settings.operators is not None and is_loopback(settings.operators.host):
        door = LocalDoor(operators.counts)
        return [*operators.routes(OpenDoor()), *admin.routes(door), *circuits.routes(door)]
    tokens = AdminTokens(settings.admin_keys) if settings.admin_keys else None
    shown = TokenDoor(tokens, operators.counts)
    return [*operators.routes(OpenDoor()), *admin.routes(shown), *circuits.routes(shown)]


# ------------------------------------------------------------------------------------------------------ the process


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and end in order."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    own_probes = new_echo_login()
    address = PublicAddress([urls.parse(text) for text in settings.stun]) if settings.media_ip == (AUTO,) else None
    seen = await address.find() if address else None
    async with contextlib.AsyncExitStack() as stack:
        try:
            media = await stack.enter_async_context(build_media_plane(settings, own_probes))
        except OSError as error:
            raise ConfigError(f"Media cannot listen on UDP port {settings.media_port}: {why(error)}.") from None
        if seen is not None:
            media.ports.announce(seen.local, seen.public)
        server = await stack.enter_async_context(running(settings, media, own_probes, address))
        loop.add_signal_handler(signal.SIGUSR1, server.restart_media)
        _announce(settings, server, media.port)
        gc.collect()
        gc.freeze()  # what is alive now stays so: a full collection need not look at it (it would hold up media)
        await ended.wait()
        log.info("Asked to end, with %d connections", len(server.conference.sockets))


def _announce(settings: Settings, server: Running, media_port: int) -> None:
    if settings.ready_file:
        # Renamed into place, so that who waits for the file never reads half of it.
        ready = {"pid": os.getpid(), "port": server.port, "media_port": media_port, "admin_port": server.admin_port}
        path = Path(settings.ready_file)
        path.with_suffix(".part").write_text(json.dumps(ready))
        path.with_suffix(".part").replace(path)
    if settings.dev_mode:
        log.warning("Dev mode: no keys are set, so only this machine can connect, and its page gets tokens by itself")
    host = settings.host if settings.host and settings.host not in LOOPBACK else "localhost"
    scheme = "https" if settings.tls_cert else "http"
    print(f"AuraLink is ready: {scheme}://{f'[{host}]' if ':' in host else host}:{server.port}", flush=True)
    if server.admin_port and settings.operators:
        bind = Bind(settings.operators.host, server.admin_port)
        scheme = "http" if is_loopback(bind.host) else scheme
        print(f"Operators are served at {scheme}://{bind}", flush=True)


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
    for chatty in ("asyncio", "websockets"):  # at debug they would tell what was sent
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
