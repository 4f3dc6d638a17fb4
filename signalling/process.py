"""The process around the server: its signals, its log, what it says when it is ready, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from turn_probe import urls

from .app import Running, running
from .config import Settings, is_loopback
from .file_descriptors import raise_limit
from .listeners import LOOPBACK, why
from .option_values import AUTO, Bind, ConfigError
from .parts import build_media_plane, new_echo_login
from .public_address import PublicAddress

log = logging.getLogger(__name__)


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
    raise_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
