"""Real nginx and Caddy on high ports of loopback, with the lines that our documents tell people to write."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from .certificates import Pem
from .ports import free_port
from .program import running_program

DOCUMENTED_SERVER = "127.0.0.1:8080"
DOCUMENTED_NAME = "call.example.org"

# One process, which keeps its files to itself and needs no rights.
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {server}
}}
"""
NGINX_SERVER = """
    server {{
        listen 443 ssl;
        ssl_certificate     /etc/ssl/call/fullchain.pem;
        ssl_certificate_key /etc/ssl/call/privkey.pem;
        {location}
    }}
"""
CADDY = """
{{
    admin off
    skip_install_trust
    auto_https disable_redirects
    default_bind 127.0.0.1
    storage file_system {folder}
}}
{site}
"""


@asynccontextmanager
async def nginx(lines: str, server: str, folder: Path, certificate: Pem) -> AsyncIterator[str]:
    """Run nginx in front of the server at the URL `server`, and give its own URL.

    `lines` are a documented `server` with what belongs beside it, or a `location` alone. Of what they say, only the
    port, the addresses and the paths of the certificate are changed.
    """
    port = free_port()
    whole = lines if "server {" in lines else NGINX_SERVER.format(location=lines)
    for documented, real in (
        (DOCUMENTED_SERVER, urlsplit(server).netloc.replace("localhost", "127.0.0.1")),
        (DOCUMENTED_NAME, "localhost"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/call/fullchain.pem", str(certificate.chain)),
        ("/etc/ssl/call/privkey.pem", str(certificate.key)),
    ):
        whole = whole.replace(documented, real)
    (folder / "nginx.conf").write_text(NGINX.format(server=whole))
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    async with running_program(command, folder, lambda _: _answers(port)):
        yield f"https://localhost:{port}"


@asynccontextmanager
async def caddy(lines: str, server: str, folder: Path) -> AsyncIterator[str]:
    """Run Caddy in front of the server at the URL `server`, with a certificate that it makes itself; give its URL."""
    port = free_port()
    site = lines.replace(DOCUMENTED_SERVER, urlsplit(server).netloc.replace("localhost", "127.0.0.1"))
    site = site.replace(f"{DOCUMENTED_NAME} {{", f"https://localhost:{port} {{\n    tls internal\n")
    (folder / "Caddyfile").write_text(CADDY.format(folder=folder, site=site))
    own_home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    async with running_program(command, folder, lambda _: _answers(port), environment=own_home, within=20):
        yield f"https://localhost:{port}"


async def _answers(port: int) -> bool:
    """Whether the server answers through the proxy; who made the certificate is not what is asked."""
    return await asyncio.to_thread(_get, port)


def _get(port: int) -> bool:
    connection = http.client.HTTPSConnection("localhost", port, timeout=2, context=ssl._create_unverified_context())
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
