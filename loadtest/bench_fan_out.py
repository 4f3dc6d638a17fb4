"""What the forwarder's inner loop costs without a server around it, and what a bare sendto costs beside it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Sequence

from sfu.addresses import LocalAddress
from sfu.codecs import VP8
from sfu.counters import Counters
from sfu.inbound import InboundTrack
from sfu.outbound import OutboundStream, PayloadTypes
from sfu.rtp import Packet
from sfu.srtp import Keys, Session
from sfu.udp import UdpSocket

from .sink import Address

BURST = 9  # packets of one frame: 2.5 Mbit/s at 30 frames per second
DATAGRAM_BYTES = 1100
_PAYLOAD_BYTES = DATAGRAM_BYTES - 12 - 16  # RTP header and GCM tag
_KEYFRAME = b"\x90\x80\x80\x01\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01"


def bench_sendto(addresses: Sequence[Address], seconds: float) -> float:
    """CPU seconds for one `sendto` of 1100 bytes, in bursts to each of `addresses` in turn."""
    data = secrets.token_bytes(DATAGRAM_BYTES)
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        send = sender.sendto
        end, cpu = time.monotonic() + seconds, time.process_time()
        while time.monotonic() < end:
            for address in addresses:
                for _ in range(BURST):
                    send(data, address)
            sent += BURST * len(addresses)
        return (time.process_time() - cpu) / sent


def bench_fan_out(addresses: Sequence[Address], seconds: float) -> float:
    """CPU seconds for one forwarded packet: new header, AES-GCM, and its share of a segmented send to `addresses`."""
    loop = asyncio.new_event_loop()  # nothing runs in it; the socket wants one to be closed
    counters = Counters()
    udp = UdpSocket(LocalAddress("127.0.0.1", "127.0.0.1"), 0, counters, lambda *_: None, lambda: None)
    try:
        used, sent = _fan_out(udp, addresses, seconds)
    finally:
        udp.close(loop)
        loop.close()
    if counters.packets_forwarded != sent:
        raise RuntimeError(f"{counters.packets_forwarded} packets were sent instead of {sent}")
    return used / sent


def _fan_out(udp: UdpSocket, addresses: Sequence[Address], seconds: float) -> tuple[float, int]:
    track = InboundTrack("video")
    track.set_codec(VP8, 0.0)
    queues: list[list[bytes]] = []
    for ssrc in range(2, 2 + 2 * len(addresses), 2):
        stream = OutboundStream(ssrc, ssrc + 1, 1, 1)
        stream.codecs = {VP8: PayloadTypes(96, 97)}
        queues.append([])
        key = secrets.token_bytes(28)
        stream.connect(Session(Keys("SRTP_AEAD_AES_128_GCM", key, key)), queues[-1], lambda: None)
        track.attach(stream, 0.0)
    payload = secrets.token_bytes(_PAYLOAD_BYTES - len(_KEYFRAME))
    number, sent = 0, 0
    end, cpu = time.monotonic() + seconds, time.process_time()
    while (now := time.monotonic()) < end:
        for at in range(BURST):
            # The SFU has a new bytes object per packet, too: the decrypted one.
            body = (_KEYFRAME if at == 0 else b"\x80\x80\x80\x01" + bytes(10)) + payload
            track.receive(Packet(0, 96, number & 0xFFFF, number, 1, {}, body), -1, -1, now)
            number += 1
        for queue, address in zip(queues, addresses, strict=True):
            udp.send_queue(queue, address)
            queue.clear()
        sent += BURST * len(addresses)
    return time.process_time() - cpu, sent
