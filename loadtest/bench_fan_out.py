"""What the forwarder's inner loop costs without a server around it, and what a bare sendto costs beside it."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from itertools import count

from sfu.addresses import LocalAddress
from sfu.codecs import VP8
from sfu.counters import Counters
from sfu.inbound import InboundTrack
from sfu.outbound import OutboundStream, PayloadTypes
from sfu.rtp import Packet
from sfu.srtp import Keys, Session
from sfu.udp import UdpSocket

from .sink import Sink

BURST = 9  # packets of one frame: 2.5 Mbit/s at 30 frames per second
DATAGRAM_BYTES = 1100
FRAME_RATE = 30
_KEYFRAME = b"\x90\x80\x80\x01\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01"
_CONTINUED = b"\x80\x80\x80\x01" + bytes(10)


def bench_sendto(far: Sink, receivers: int, seconds: float) -> float:
    """CPU seconds for one `sendto` of 1100 bytes, when each receiver gets a burst per frame."""
    data = secrets.token_bytes(DATAGRAM_BYTES)
    addresses = far.addresses[:receivers]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        send = sender.sendto

        def frame(_now: float) -> None:
            for address in addresses:
                for _ in range(BURST):
                    send(data, address)

        return _per_packet(frame, far, receivers, seconds)


def bench_fan_out(far: Sink, receivers: int, seconds: float) -> float:
    """CPU seconds for one forwarded packet: new header, AES-GCM, and its share of a segmented send."""
    udp = UdpSocket(LocalAddress("127.0.0.1", "127.0.0.1"), 0, Counters())
    track, queues = _track(receivers)
    payload = secrets.token_bytes(DATAGRAM_BYTES - 12 - 16 - len(_KEYFRAME))  # RTP header and GCM tag
    numbers = count()

    def frame(now: float) -> None:
        for at in range(BURST):
            # The SFU has a new bytes object per packet, too: the decrypted one.
            body = (_KEYFRAME if at == 0 else _CONTINUED) + payload
            number = next(numbers)
            track.receive(Packet(0, 96, number & 0xFFFF, number, 1, {}, body), -1, -1, now)
        for queue, address in zip(queues, far.addresses, strict=False):
            udp.send_queue(queue, address)
            queue.clear()

    try:
        return _per_packet(frame, far, receivers, seconds)
    finally:
        udp.close()


def _track(receivers: int) -> tuple[InboundTrack, list[list[bytes]]]:
    """A video that is forwarded to so many, and their queues."""
    track = InboundTrack("video")
    track.set_codec(VP8, 0.0)
    queues: list[list[bytes]] = []
    for ssrc in range(2, 2 + 2 * receivers, 2):
        stream = OutboundStream(ssrc, ssrc + 1, 1, 1)
        stream.codecs = {VP8: PayloadTypes(96, 97)}
        queues.append([])
        key = secrets.token_bytes(28)
        stream.connect(Session(Keys("SRTP_AEAD_AES_128_GCM", key, key)), queues[-1], lambda: None)
        track.attach(stream, 0.0)
    return track, queues


def _per_packet(frame: Callable[[float], None], far: Sink, receivers: int, seconds: float) -> float:
    """CPU seconds per packet of `frame`, called at the rate of a camera.

    Sending as fast as possible would overflow the receiver, and a packet that is thrown away is cheaper.
    """
    before, frames = far.received(), round(seconds * FRAME_RATE)
    due, used = time.monotonic(), 0.0
    for _ in range(frames):
        due += 1 / FRAME_RATE
        time.sleep(max(0.0, due - time.monotonic()))
        cpu = time.process_time()
        frame(due)
        used += time.process_time() - cpu
    time.sleep(0.2)
    sent, received = frames * BURST * receivers, far.received() - before
    if received < 0.99 * sent:
        raise SystemExit(f"Only {received} of {sent} packets arrived; the machine is too busy to measure.")
    return used / sent
