"""A client of the engine that comes by TCP: the cheap peer's transport for networks without UDP."""

from __future__ import annotations

from loadtest.tcp_transport import TcpTransport
from sfu.engine import Engine

from .client import Client


def tcp_client(media: Engine, peer: str) -> Client:
    """A client that has no UDP."""
    client = Client(media, peer)
    made = client.transport
    client.transport = TcpTransport(made._certificate, made._on_rtp, made._on_rtcp)
    return client
