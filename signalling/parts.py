"""The real parts of a server, each built as the settings ask for it."""

from __future__ import annotations

import logging
import math
import random
import secrets
import time

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
from turn_probe.fleet import Fleet
from turn_probe.monitor import PACE, Monitor

from .certificates import Certificate, CertificateError
from .cluster import Cluster
from .conference import Conference, Rules
from .config import Settings
from .ice_servers import IceServerList
from .limits import Rate
from .option_values import AUTO, ConfigError
from .tokens import Tokens

log = logging.getLogger(__name__)


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


def build_conference(
    settings: Settings, tokens: Tokens, ice: IceServerList, cluster: Cluster, relays: Fleet | None
) -> Conference:
    """The conference with the rules that the settings ask for; `relays` are those that are measured."""
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
    return Conference(rules, tokens, ice.for_participant, secrets.token_bytes, cluster=cluster, relays=relays)


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
