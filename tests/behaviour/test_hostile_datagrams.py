"""What strangers send to the media port harms no call, and is counted by the reason for which it was dropped."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterator

import pytest
from aioice import stun
from OpenSSL import SSL

from tests.support.call import Person, all_meet, new_room, person
from tests.support.chromium import Chromium
from tests.support.server import RunningServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DROPPED = 'auralink_datagrams_dropped_total{reason="%s"}'


async def test_a_call_is_encrypted_by_the_cipher_that_is_cheapest_to_forward(
    chromium: Chromium, server: RunningServer
) -> None:
    ada, _ = await couple(chromium, server)
    (transport,) = await reports(ada, "transport")
    assert transport["dtlsState"] == "connected"
    assert transport["dtlsRole"] == "client", "the server chooses the cipher only as the DTLS server"
    assert transport["srtpCipher"] == "SRTP_AEAD_AES_128_GCM"


async def test_a_running_call_survives_whatever_strangers_send(chromium: Chromium, server: RunningServer) -> None:
    ada, bob = await couple(chromium, server)
    sdp = await ada.page.evaluate("() => caller.room.connection.remoteDescription.sdp")
    port = int(re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+)", sdp)[1])  # type: ignore[index]
    ufrag = re.search(r"a=ice-ufrag:(\S+)", sdp)[1]  # type: ignore[index]
    ssrc = (await reports(bob, "outbound-rtp"))[0]["ssrc"]
    before = await server.metrics()
    frames = {who.identity: await frames_of_the_other(who) for who in (ada, bob)}
    lost = {who.identity: await lost_so_far(who) for who in (ada, bob)}

    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(20):
            for datagram in nuisances(ufrag, ssrc):
                stranger.sendto(datagram, ("127.0.0.1", port))
                sent += 1
            # Between two salvoes there are pictures, every time.
            now = await frames_of_the_other(ada)
            await eventually(lambda now=now: has_more_than(ada, now), within=1, every=0.02)  # type: ignore[misc]

    for who in (ada, bob):
        assert await frames_of_the_other(who) > frames[who.identity]
        assert await lost_so_far(who) == lost[who.identity]
    await all_meet([ada, bob], within=3)
    assert not await ada.told("media-state", state="disconnected")
    assert not await ada.told("reconnecting")

    after = await server.metrics()
    counted = {
        reason: after.get(DROPPED % reason, 0) - before.get(DROPPED % reason, 0)
        for reason in (
            "size",
            "not_ours",
            "unknown_address",
            "stun_malformed",
            "stun_unknown_ufrag",
            "stun_unauthentic",
        )
    }
    print(f"{sent} datagrams of strangers: " + ", ".join(f"{reason} {count:.0f}" for reason, count in counted.items()))
    assert counted["size"] >= 20 * 4  # 0, 1, 1501 and 9000 bytes
    assert counted["unknown_address"] >= 20 * 5  # RTP, RTCP, a ClientHello, and what looks like them
    for reason, count in counted.items():
        assert count >= 20, f"nothing was counted as {reason}"
    assert sum(counted.values()) >= sent


def nuisances(ufrag: str, ssrc: int) -> Iterator[bytes]:
    """What a stranger might send who knows the port, and even names and sources of the call."""
    for size in (0, 1, 1501, 9000):
        yield os.urandom(size)
    yield b"\xff" * 1500
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield b"\x80\x60" + os.urandom(10)  # a bare RTP header, and one inside a full packet
    yield struct.pack("!BBHII", 0x80, 96, 1, 2, ssrc) + os.urandom(1488)
    yield struct.pack("!BBHI", 0x81, 203, 1, ssrc)  # RTCP BYE in the name of a participant
    yield client_hello()
    yield b"\x16\xfe\xfd" + os.urandom(200)  # what begins as a DTLS handshake
    yield b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"  # a fatal alert
    yield b"\x00\x01\x00\x00" + os.urandom(40)  # what begins as STUN
    yield bytes(check("nobody:me"))
    yield bytes(check(f"{ufrag}:me"))  # the right name with a wrong password


def check(username: str) -> bytes:
    """A connectivity check by somebody who does not know the password."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(b"guessed")
    return bytes(message)


def client_hello() -> bytes:
    """The first datagram of a real DTLS client."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(1500)


async def couple(chromium: Chromium, server: RunningServer) -> tuple[Person, Person]:
    """Two people who see and hear each other."""
    room = new_room()
    ada = await person(await chromium.page(), server, room, "ada")
    bob = await person(await chromium.page(), server, room, "bob")
    await all_meet([ada, bob])
    await ada.forgets()
    return ada, bob


async def reports(who: Person, kind: str) -> list[dict[str, object]]:
    """The browser's reports of one type on the room's connection."""
    script = "async (kind) => [...(await caller.room.getStats()).values()].filter(({ type }) => type === kind)"
    found = await who.page.evaluate(script, kind)
    return list(found)


async def frames_of_the_other(who: Person) -> int:
    """Frames decoded of the one camera that is received."""
    (stream,) = await who.receives(source="camera")
    return stream.frames


async def has_more_than(who: Person, frames: int) -> bool:
    """Whether more frames than these were decoded."""
    return await frames_of_the_other(who) > frames


async def lost_so_far(who: Person) -> int:
    """Packets that never came, of everything received."""
    return sum(stream.packets_lost for stream in await who.receives())
