"""The composition root: has the real parts built from Settings, puts them together, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from sfu.engine import Engine
from sfu.media_plane import MediaPlane
from turn_probe.credentials import EchoLogin
from turn_probe.fleet import Offered
from turn_probe.mapped import Mapped
from turn_probe.monitor import Monitor

from . import dependencies, http, migration
from .admin import Admin
from .admin_circuits import CircuitAdmin
from .cluster import Cluster
from .conference import Conference
from .config import Settings, is_loopback
from .degraded_headers import DegradedHeaders
from .events import RelaysChanged
from .ice_servers import IceServerList
from .keys import secret_key
from .listeners import Listener, listen, port_of
from .loop_lag import LoopLag
from .metrics import Metrics, Sizes
from .metrics_relays import RelayMetrics, watch_address
from .metrics_shared import SharedMetrics
from .operator_routes import OperatorRoutes, application
from .operators import Operators
from .parts import build_certificate, build_conference, build_link, build_monitor, new_echo_login
from .public_address import PublicAddress
from .readiness import Readiness
from .server import Server
from .tokens import Tokens

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
    act: Callable[[Callable[[Conference], None]], None]  # does to the conference what is asked from outside of it
    restart_media: Callable[[], None]  # have everybody build new media connections


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
    # The parts, each after those that it needs.
    sockets, operator_sockets = listen(settings)
    port, admin_port = port_of(sockets), port_of(operator_sockets)
    link = build_link(settings, port)
    if link is not None:
        settings = dataclasses.replace(settings, advertise_url=link.sharing.record.url)
    monitor = build_monitor(settings, media, own_probes or new_echo_login())
    tokens = Tokens(settings.keys or (secret_key("dev", secrets.token_bytes(32)),))
    ice = IceServerList(settings.stun, settings.turn, settings.turn_accounts, settings.turn_lifetime)
    conference = build_conference(
        settings, tokens, ice, Cluster(link.sharing if link else None), monitor.fleet if monitor else None
    )
    version = importlib.metadata.version("auralink")
    registry = CollectorRegistry()
    counts = Metrics(
        registry,
        lambda: Sizes(len(conference.rooms), len(conference.sessions), len(conference.sockets)),
        version,
    )
    shared = SharedMetrics(registry, conference.cluster.sharing, conference.episodes, time.monotonic)
    server = Server(
        conference,
        media,
        counts,
        shared,
        link,
        outbox_messages=settings.outbox_messages,
        outbox_bytes=settings.outbox_bytes,
    )
    lag = LoopLag(counts.loop_lag.observe)
    certificate = build_certificate(settings)
    _wire(conference, counts, shared)
    if monitor is not None:
        _wire_relays(monitor, ice, server, RelayMetrics(registry, monitor.fleet))
    if address is not None:
        watch_address(registry, lambda: address.seen is None)

    # What is served, and where.
    public = [*Readiness(server, conference, media, lag).routes(), http.description(version)]
    operators = Operators(
        media, counts, lag, conference, version, time.monotonic(), address.checks if address else dict
    )
    theirs = OperatorRoutes(settings, operators, Admin(server), CircuitAdmin(server))
    middleware = [Middleware(DegradedHeaders, told=lambda: dependencies.headers(conference))]
    web = http.build(
        settings=settings,
        server=server,
        tokens=tokens,
        counts=counts,
        port=port,
        others=[*public, *theirs.beside_the_page()],
        middleware=middleware,
    )
    tls = certificate.context if certificate else None
    closing = settings.shutdown_grace * (1 - GOODBYE_SHARE)
    listeners = [Listener(settings, web, sockets, tls, closing)]
    if settings.operators is not None and operator_sockets:
        secret = None if is_loopback(settings.operators.host) else tls
        alone = application([*public, *theirs.on_their_listener()], middleware)
        listeners.append(Listener(settings, alone, operator_sockets, secret, closing))

    async def stop() -> None:
        await _hand_over(settings, server)

    def restart_media() -> None:
        server.act(lambda conference: migration.restart_all_media(conference, "operator"))

    def address_learned(seen: Mapped) -> None:
        if isinstance(media, Engine):
            media.ports.announce(seen.local, seen.public)
            if monitor is not None:
                monitor.look_at(media.ports.announced)

    # From here on things happen.
    async with asyncio.TaskGroup() as tasks:
        core = tasks.create_task(server.run(), name="control-plane")
        background = [core, tasks.create_task(lag.measure(), name="event-loop-lag")]
        if certificate is not None:
            background.append(tasks.create_task(certificate.watch(), name="certificate"))
        if address is not None:
            background.append(tasks.create_task(address.keep_asking(address_learned), name="public address"))
        if monitor is not None:
            background.append(tasks.create_task(monitor.run(), name="relays"))
        listening = [tasks.create_task(listener.run_until_told(), name="http") for listener in listeners]
        for listener in listeners:
            await listener.ready.wait()
        try:
            yield Running(port, admin_port, tokens, conference, stop, server.act, restart_media)
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


def _wire(conference: Conference, counts: Metrics, shared: SharedMetrics) -> None:
    """Who tells whom, of parts that need each other, so that neither could be handed to the other when it was built."""
    conference.limited = counts.limit_refused  # each time that a limit refuses something
    conference.conflicted = shared.conflicted  # when others turn out to have changed the same thing apart from us


def _wire_relays(monitor: Monitor, ice: IceServerList, server: Server, metrics: RelayMetrics) -> None:
    """Likewise for relays: what probes find is counted, and a new list goes to those who join, then to all."""

    def changed(offered: Offered) -> None:
        ice.take(offered)
        server.dispatch(RelaysChanged(offered.reason))

    monitor.probed = metrics.probed
    monitor.changed = changed


async def _hand_over(settings: Settings, server: Server) -> None:
    """Ask clients to go on elsewhere, if there is somewhere to go, and say goodbye to who is left."""
    grace = settings.shutdown_grace
    if await server.retire() or settings.migrate_to:
        migrating = grace * MIGRATION_SHARE
        await server.migrate(settings.migrate_to, "shutting_down", migrating * SPREAD_SHARE, migrating)
        grace -= migrating
    await server.shut_down(grace * GOODBYE_SHARE)
