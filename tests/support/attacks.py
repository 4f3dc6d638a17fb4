"""Attacks on a server on loopback, each in a process of its own: `python -m tests.support.attacks NAME …`.

Each runs for some seconds and prints how often it did what it does. Loopback is all they may be aimed at.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import uvloop
from OpenSSL import SSL
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from loadtest import tokens
from loadtest.peer import Peer
from loadtest.publication import Rates
from loadtest.sdp import LocalTransport, OfferedSection, read_answer, write_offer
from sfu import rtcp, stun
from sfu.dtls import Certificate

from .tcp_floods import tcp_flood

UDP_SEGMENT = 103  # linux/udp.h

# ------------------------------------------------------------------------------------------------ of strangers


def junk(port: int, seconds: float) -> int:
    """Datagrams of noise with every first byte, each sent on its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect(("127.0.0.1", port))
        return repeat(seconds, (lambda datagram=datagram: stranger.send(datagram) for datagram in noise()))


def segmented_junk(port: int, seconds: float) -> int:
    """The same as fast as one core can send it: 64 datagrams in one call, which the kernel takes apart."""
    datagrams = noise()
    runs = [b"".join(datagrams[first : first + 64]) for first in range(0, len(datagrams), 64)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect(("127.0.0.1", port))
        stranger.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(datagrams[0]))
        return 64 * repeat(seconds, (lambda run=run: stranger.send(run) for run in runs))


def noise() -> list[bytes]:
    """A datagram for every first byte."""
    return [bytes([first]) + os.urandom(199) for first in range(256)]


def spoofed_stun(port: int, seconds: float, ufrag: str) -> int:
    """Checks from many addresses: of nobody, and in the name of somebody (`ufrag`) with a guessed password."""
    checks = [
        stun.binding_request(os.urandom(12), f"{name}:me", "guessed" * 4, 1, 1, nominate=True)
        for name in (ufrag, "nobody", secrets.token_hex(6), ufrag)
    ]
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(50)]
        pairs = itertools.product(strangers, checks)
        return repeat(seconds, (lambda s=s, c=c: s.sendto(c, ("127.0.0.1", port)) for s, c in pairs))


def client_hellos(port: int, seconds: float) -> int:
    """The first datagram of a real DTLS client, from many addresses that no check came from."""
    client = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    client.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    hello = client.bio_read(1500)
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(50)]
        return repeat(seconds, (lambda s=s: s.sendto(hello, ("127.0.0.1", port)) for s in strangers))


def repeat(seconds: float, actions: Iterator[Callable[[], object]]) -> int:
    """Do one after the other, round and round."""
    until, done = time.monotonic() + seconds, 0
    todo = list(actions)
    while time.monotonic() < until:
        for action in todo:
            with contextlib.suppress(OSError):
                action()
        done += len(todo)
    return done


# ------------------------------------------------------------------------------------------------- of members


async def requests(url: str, token: str, seconds: float) -> int:
    """A receiver that asks for 1,000 keyframes per second, and again for every packet there ever was."""
    everything = range(0, 65536, 17)
    done = 0
    async with Peer(url, token, publish=()) as peer:
        await asyncio.sleep(0.5)
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            ssrcs = [slot.ssrc for slot in peer.ledger.slots.values()]
            for number in range(20):
                ssrc = ssrcs[number % len(ssrcs)]
                peer.transport.send_rtcp(rtcp.receiver_report(1, ()) + rtcp.picture_loss_indication(1, ssrc))
                first = secrets.randbelow(len(everything) - 300)
                chunks = b"".join(struct.pack("!HH", pid, 0xFFFF) for pid in everything[first : first + 300])
                nack = struct.pack("!BBHII", 0x81, rtcp.RTPFB, 2 + 300, 1, ssrc) + chunks
                peer.transport.send_rtcp(rtcp.receiver_report(1, ()) + nack)
                done += 2
            await asyncio.sleep(max(0.0, now + 0.02 - time.monotonic()))
    return done


async def publish(url: str, token: str, seconds: float) -> int:
    """A publisher at fifty times its rate: 50 instead of 1 Mbit/s."""
    async with Peer(url, token, publish=("camera",), rates=Rates(video_bitrate=50_000_000)) as peer:
        await asyncio.sleep(seconds)
        return peer.transport.sent


async def messages(url: str, token: str, seconds: float) -> int:
    """10,000 messages per second from one client, on one connection until that takes no more, then on another."""
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(WebSocketException, OSError):  # a timeout is an OSError, too
            async with joined(url, token) as client:
                while (now := time.monotonic()) < until:
                    async with asyncio.timeout(0.2):
                        for _ in range(100):
                            await client.send('{"type":"ping"}')
                            done += 1
                    await asyncio.sleep(max(0.0, now + 0.01 - time.monotonic()))
    return done


async def slow_reader(url: str, token: str, other: str, seconds: float) -> int:
    """A client that does not read while another one talks to it."""
    done, until = 0, time.monotonic() + seconds
    async with joined(url, token, deaf=True), joined(url, other) as talker:
        while time.monotonic() < until:
            await talker.send(json.dumps({"type": "chat", "text": "€" * 4000}))
            done += 1
            await asyncio.sleep(0.006)
    return done


async def offers(url: str, token: str, seconds: float) -> int:
    """Offers of 1 MiB, of 500 sections, and the longest that are read at all."""
    local = LocalTransport("ufrag", "p" * 24, Certificate().fingerprint)
    done, until = 0, time.monotonic() + seconds
    sections = [OfferedSection(f"m{number}", "video") for number in range(500)]
    texts = [
        write_offer(sections, local, session_id=1, version=1)[:250_000],
        write_offer(sections[:120], local, session_id=1, version=1),
        "v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 500,
        "v=0\r\n" + "a=x\r\n" * (1 << 18),
    ]
    while time.monotonic() < until:
        for text in texts:
            with contextlib.suppress(WebSocketException, OSError):
                async with joined(url, token) as client:
                    for _ in range(3):
                        await client.send(json.dumps({"type": "offer", "sdp": text, "tracks": []}))
                        done += 1
                    await asyncio.sleep(0.1)
    return done


async def half_open(url: str, keys: str, seconds: float) -> int:
    """200 clients of which each has its address believed, and then does not shake hands."""
    source, certificate = tokens.from_keys(keys), Certificate()
    done = 0
    async with contextlib.AsyncExitStack() as stack:
        for number in range(200):
            client = await stack.enter_async_context(joined(url, source("half-open", f"half-open-{number}")))
            local = LocalTransport(secrets.token_hex(4), secrets.token_hex(16), certificate.fingerprint)
            sdp = write_offer([OfferedSection("0", "audio")], local, session_id=1, version=1)
            await client.send(json.dumps({"type": "offer", "sdp": sdp, "tracks": []}))
            while (reply := json.loads(await client.recv()))["type"] != "answer":
                pass
            answer = read_answer(reply["sdp"])
            name = f"{answer.ice_ufrag}:{local.ice_ufrag}"
            check = stun.binding_request(secrets.token_bytes(12), name, answer.ice_pwd, 1, 1, nominate=True)
            stranger = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            stranger.sendto(check, next(found for found in answer.candidates if found[0] == "127.0.0.1"))
            done += 1
        print("ready", flush=True)
        await asyncio.sleep(seconds)
    return done


@asynccontextmanager
async def joined(url: str, token: str, *, deaf: bool = False) -> AsyncIterator[ClientConnection]:
    """A client that has joined; a deaf one reads no more, with as small a buffer as there is."""
    address = urlsplit(url)
    opened = socket.socket()
    if deaf:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    opened.connect((address.hostname, address.port))
    opened.setblocking(False)
    async with connect(
        url,
        sock=opened,
        subprotocols=["auralink.v1"],  # type: ignore[list-item]
        compression=None,
        max_size=None,
        max_queue=1 if deaf else None,
        proxy=None,
        ping_interval=None,
        close_timeout=0.5,
    ) as client:
        await client.send(json.dumps({"type": "join", "token": token, "subscribe": "auto"}))
        await client.recv()
        yield client


STRANGERS: dict[str, Callable[..., int]] = {
    "junk": junk,
    "segmented_junk": segmented_junk,
    "spoofed_stun": spoofed_stun,
    "client_hellos": client_hellos,
    "tcp_flood": tcp_flood,
}
MEMBERS: dict[str, Callable[..., Awaitable[int]]] = {
    "requests": requests,
    "publish": publish,
    "messages": messages,
    "slow_reader": slow_reader,
    "offers": offers,
    "half_open": half_open,
}


def main(name: str, arguments: Sequence[str]) -> None:
    """Run one attack; its arguments are strings and numbers."""
    values = [json.loads(text) for text in arguments]
    if name in STRANGERS:
        print(STRANGERS[name](*values))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(MEMBERS[name](*values)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
