"""Listening: the TCP sockets, and uvicorn, which serves an application on them, with TLS or without."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.applications import Starlette

from .config import Settings
from .option_values import ConfigError
from .websocket_protocol import HttpProtocol, WebSocketProtocol

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1")
HANDSHAKE_TIMEOUT = 10.0  # seconds for a TLS handshake
HSTS = "max-age=31536000"
TLS_CLOSE_TIMEOUT = 2.0  # seconds to agree on the end of a TLS connection


class Listener(uvicorn.Server):
    """uvicorn that says when it is ready, and leaves signals alone: they mean goodbyes first, which is our business."""

    def __init__(
        self,
        settings: Settings,
        web: Starlette,
        sockets: list[socket.socket],
        tls: ssl.SSLContext | None,
        grace: float,
    ) -> None:
        super().__init__(_config(settings, web, tls, grace))
        self.ready = asyncio.Event()
        self._sockets = sockets
        self._tls = tls

    async def run_until_told(self) -> None:
        """Serve until `should_exit`."""
        await self.serve(self._sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for given sockets, but a TLS handshake and its end do not take as long as they like."""
        config = self.config
        connection: Callable[[], asyncio.Protocol] = functools.partial(
            HttpProtocol, config=config, server_state=self.server_state, app_state={}
        )
        loop = asyncio.get_running_loop()
        self.servers = []
        for sock in sockets or []:
            if self._tls is None:
                served = await loop.create_server(connection, sock=sock, backlog=config.backlog)
            else:
                served = await loop.create_server(
                    connection,
                    sock=sock,
                    backlog=config.backlog,
                    ssl=self._tls,
                    ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                    ssl_shutdown_timeout=TLS_CLOSE_TIMEOUT,
                )
            self.servers.append(served)
        self.started = True
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not here."""
        yield


def _config(settings: Settings, web: Starlette, tls: ssl.SSLContext | None, grace: float) -> uvicorn.Config:
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
        timeout_graceful_shutdown=max(1, int(grace)),
        ssl_context_factory=None if tls is None else lambda config, default: tls,
        # Not in dev mode, where it would bind every server on localhost for good.
        headers=[] if tls is None or settings.dev_mode else [("Strict-Transport-Security", HSTS)],
    )


# --------------------------------------------------------------------------------------------------------- sockets


def listen(settings: Settings) -> tuple[list[socket.socket], list[socket.socket]]:
    """The sockets for clients, all on one port, and those for operators, if any.

    Raises ConfigError where an address cannot be taken; the default one for operators may be.
    """
    clients = _for_clients(settings)
    try:
        return clients, _for_operators(settings)
    except ConfigError:
        for sock in clients:
            sock.close()
        raise


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port they listen on; 0 if there are none."""
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _for_operators(settings: Settings) -> list[socket.socket]:
    bind = settings.operators
    if bind is None:
        return []
    try:
        return _listen((bind.host,), bind.port)
    except OSError as error:
        if settings.admin_bind is not None:
            raise ConfigError(f"--admin-bind {bind}: cannot listen there because: {why(error)}.") from None
        log.warning("Operators are not served: %s cannot be taken (%s); see --admin-bind", bind, why(error))
        return []


def _for_clients(settings: Settings) -> list[socket.socket]:
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
                raise ConfigError(f"HTTP cannot listen on {place} because: {why(error)}.") from None
    raise ConfigError("--port 0: no port is free.")


def _listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
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


def why(error: OSError) -> str:
    """What the system says about an error."""
    return error.strerror or str(error)
